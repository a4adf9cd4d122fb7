"""Turns a PyTorch state_dict of TSC-Net into a run for the other commands.

  python -m launch.import_torch MODEL.pkl --output runs/published
  python -m launch.evaluate --workdir runs/published

PyTorch is not needed, and no code in the file is executed.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from configs import thumos14
from tsc_jax import cli

_OUTPUT = flags.DEFINE_string("output", None, "Folder of the new run.", required=True)
_CONFIG = config_flags.DEFINE_config_file("config", thumos14.__file__, "Recipe with which the weights were trained.")
_CLASSES = flags.DEFINE_string(
    "classes", None, "File with the class names, one per line; default: the classes of config.data.name."
)


def main(argv: list[str]) -> None:
    """Runs the command."""
    from tsc_jax.training.torch_weights import import_weights

    classes_file = None if _CLASSES.value is None else Path(_CLASSES.value)
    print(import_weights(Path(argv[1]), Path(_OUTPUT.value), _CONFIG.value, classes_file))
    print(f"next: python -m launch.evaluate --workdir={_OUTPUT.value}")


if __name__ == "__main__":
    cli.run(main, ["MODEL.pkl"])
