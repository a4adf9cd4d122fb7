"""Writes the scalars of a run as event files for TensorBoard.

pip install -r requirements-tensorboard.txt
python -m launch.tensorboard --workdir=runs/demo
tensorboard --logdir runs/demo
"""

from absl import flags

from tsc_jax import cli

_WORKDIR = flags.DEFINE_string("workdir", None, "Workdir of launch.train, also one of several seeds.")
flags.mark_flags_as_required(["workdir"])


def main(argv: list[str]) -> None:
    """Runs the command."""
    del argv
    from tsc_jax.report.tensorboard import write_events

    print(write_events(_WORKDIR.value))


if __name__ == "__main__":
    cli.run(main, buckets=["workdir"])
