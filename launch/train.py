"""Trains TSC-Net, evaluates it and draws what it found.

python -m launch.train --config=configs/demo.py --workdir=runs/demo --config.train.steps=300
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from tsc_jax import cli

_CONFIG = config_flags.DEFINE_config_file("config", None, "The recipe, one of configs/.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, scalars, metrics, figures.")
_DISTRIBUTED = flags.DEFINE_bool("distributed", False, "Whether this is one of several processes of the run.")
_COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, where no TPU pod, Slurm or GKE tells.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Which of the processes this is, from 0; with --coordinator.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many processes there are; with --coordinator.")
flags.mark_flags_as_required(["config", "workdir"])


def main(argv: list[str]) -> None:
    """The command."""
    del argv
    from tsc_jax import processes
    from tsc_jax.report.run import report
    from tsc_jax.training.loop import train

    if _DISTRIBUTED.value:
        processes.join(_COORDINATOR.value, _PROCESS_ID.value, _NUM_PROCESSES.value)
    workdir = Path(_WORKDIR.value)
    with processes.ends_with_its_peers():
        train(_CONFIG.value, workdir)
        table = report(workdir, {})
    if processes.is_first():
        print(table)
        print(
            f"{workdir}: report.html, metrics.json, predictions.json, figures/ of the last step; best_on_*/ of the best"
        )


if __name__ == "__main__":
    cli.run(main)
