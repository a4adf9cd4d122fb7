"""Turns a PyTorch state_dict of TSC-Net into a run that the other commands take.

  python -m launch.import_torch MODEL.pkl --output runs/published
  python -m launch.evaluate --workdir runs/published

PyTorch is not needed, and nothing that the file could hold is run.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from configs import thumos14
from tsc_jax import cli

_OUTPUT = flags.DEFINE_string("output", None, "Folder of the run to make.", required=True)
_CONFIG = config_flags.DEFINE_config_file("config", thumos14.__file__, "The recipe that it was trained with.")
_CLASSES = flags.DEFINE_string("classes", None, "File with the names of the classes, one a line, if not config.data's.")


def main(argv: list[str]) -> None:
    """The command."""
    from tsc_jax.training.torch_weights import import_weights

    classes_file = None if _CLASSES.value is None else Path(_CLASSES.value)
    print(import_weights(Path(argv[1]), Path(_OUTPUT.value), _CONFIG.value, classes_file))
    print(f"next: python -m launch.evaluate --workdir={_OUTPUT.value}")


if __name__ == "__main__":
    cli.run(main, ["MODEL.pkl"])
