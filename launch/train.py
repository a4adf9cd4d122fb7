"""Trains TSC-Net and evaluates it.

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
    from tsc_jax.training.loop import train_and_evaluate

    train_and_evaluate(_CONFIG.value, Path(_WORKDIR.value))


if __name__ == "__main__":
    cli.run(main)
