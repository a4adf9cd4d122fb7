"""Trains the method of a recipe, evaluates it and draws its results.

python -m launch.train --config=configs/demo.py --workdir=runs/demo --config.train.steps=300
"""

from absl import flags
from ml_collections import config_flags

from tsc_jax import cli

_CONFIG = config_flags.DEFINE_config_file("config", None, "Recipe, a file or a name in configs/.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, scalars, metrics, figures.")
_DISTRIBUTED = flags.DEFINE_bool("distributed", False, "Whether this process is one of several that train together.")
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of process 0; default: from the TPU pod, Slurm or GKE."
)
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Index of this process, from 0; with --coordinator.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Number of processes; with --coordinator.")
_TENSORBOARD = flags.DEFINE_bool(
    "tensorboard",
    False,
    "Whether to write losses, rates, metrics, recipe and pictures for TensorBoard into --workdir meanwhile.",
)
flags.mark_flags_as_required(["config", "workdir"])


def main(argv: list[str]) -> None:
    """Runs the command."""
    del argv
    from tsc_jax import processes
    from tsc_jax.files import open_path
    from tsc_jax.report import tensorboard
    from tsc_jax.report.run import NO_MAP, report
    from tsc_jax.training.loop import train_and_evaluate

    follow = None
    if _TENSORBOARD.value:
        tensorboard.check_installed()
        follow = tensorboard.follow
    if _DISTRIBUTED.value:
        processes.join(_COORDINATOR.value, _PROCESS_ID.value, _NUM_PROCESSES.value)
    workdir = open_path(_WORKDIR.value)
    with processes.ends_with_its_peers():
        table = report(workdir, {}, known=train_and_evaluate(_CONFIG.value, workdir, follow))
    if processes.is_first():
        print(table)
        written = "report.html, metrics.json, predictions.json, figures/ of the last step; best_on_*/ of the best"
        print(f"{workdir}: {'predictions.json' if table == NO_MAP else written}")


if __name__ == "__main__":
    cli.run(main, buckets=["workdir"])
