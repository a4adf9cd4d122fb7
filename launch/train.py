"""Trains TSC-Net, evaluates it and draws what it found.

python -m launch.train --config=configs/demo.py --workdir=runs/demo --config.train.steps=300
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from tsc_jax import cli

_CONFIG = config_flags.DEFINE_config_file("config", None, "The recipe, one of configs/.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, scalars, metrics, figures.")
flags.mark_flags_as_required(["config", "workdir"])


def main(argv: list[str]) -> None:
    """The command."""
    del argv
    from tsc_jax.report.run import report
    from tsc_jax.training.loop import train

    workdir = Path(_WORKDIR.value)
    train(_CONFIG.value, workdir)
    print(report(workdir, {}))
    print(f"{workdir}: metrics.json, predictions.json and figures/ of the last step; best_on_*/ of the best ones")


if __name__ == "__main__":
    cli.run(main)
