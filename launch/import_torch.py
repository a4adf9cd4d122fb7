"""Turns PyTorch state_dicts of a published implementation into a run for the other commands.

  python -m launch.import_torch MODEL.pkl --output runs/published
  python -m launch.import_torch RGB.pkl FLOW.pkl --config=configs/facnet_thumos14.py --output runs/facnet
  python -m launch.evaluate --workdir runs/published

FAC-Net has one file per modality: give RGB first. PyTorch is not needed, and no code in a file is executed.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from tsc_jax import cli
from tsc_jax.commands import called_here
from tsc_jax.configs import thumos14

_OUTPUT = flags.DEFINE_string("output", None, "Folder of the new run.", required=True)
_CONFIG = config_flags.DEFINE_config_file("config", thumos14.__file__, "Recipe with which the weights were trained.")
_CLASSES = flags.DEFINE_string(
    "classes", None, "File with the class names, one per line; default: the classes of config.data.name."
)


def main(argv: list[str]) -> None:
    """Runs the command."""
    from tsc_jax.training.torch_weights import import_weights

    classes_file = None if _CLASSES.value is None else Path(_CLASSES.value)
    print(import_weights([Path(each) for each in argv[1:]], Path(_OUTPUT.value), _CONFIG.value, classes_file))
    print(called_here(f"next: python -m launch.evaluate --workdir={_OUTPUT.value}"))


if __name__ == "__main__":
    cli.run(main, ["MODEL.pkl..."])
