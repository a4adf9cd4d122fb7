"""Writes the weights of a run as the state_dict that the published PyTorch code loads.

python -m launch.export_torch --workdir runs/thumos14 --output MODEL.pkl --selection best_on_holdout
"""

from pathlib import Path

from absl import flags

from tsc_jax import cli

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "File to write.", required=True)
_SELECTION = flags.DEFINE_string("selection", "last", "Which checkpoint: last, best_on_holdout or best_on_test.")
_BANK = flags.DEFINE_enum(
    "bank", None, ["thumos", "activitynet"], "Whose name and layout the bank gets; default: those of the data set."
)


def main(argv: list[str]) -> None:
    """The command."""
    del argv
    from tsc_jax.training.torch_weights import export_weights

    print(export_weights(Path(_WORKDIR.value), Path(_OUTPUT.value), _SELECTION.value, _BANK.value))


if __name__ == "__main__":
    cli.run(main)
