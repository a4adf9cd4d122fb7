"""Writes the weights of a run as state_dicts that the published PyTorch code loads.

python -m launch.export_torch --workdir runs/thumos14 --output MODEL.pkl --selection best_on_holdout

FAC-Net with two modalities has two files: --output MODEL.pkl writes MODEL_rgb.pkl and MODEL_flow.pkl.
Needs PyTorch: pip install -r requirements-torch.txt
"""

from pathlib import Path

from absl import flags

from tsc_jax import cli
from tsc_jax.files import open_path

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "File to write; several get a suffix each.", required=True)
_SELECTION = flags.DEFINE_string("selection", "last", "Checkpoint: last, best_on_holdout or best_on_test.")
_BANK = flags.DEFINE_enum(
    "bank",
    None,
    ["thumos", "activitynet"],
    "Of TSC-Net: data set whose name and layout of the bank to use; default: that of the run.",
)


def main(argv: list[str]) -> None:
    """Runs the command."""
    del argv
    from tsc_jax.training.torch_weights import export_weights

    print(export_weights(open_path(_WORKDIR.value), Path(_OUTPUT.value), _SELECTION.value, _BANK.value))


if __name__ == "__main__":
    cli.run(main, buckets=["workdir"])
