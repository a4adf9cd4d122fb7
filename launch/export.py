"""Exports a run for inference: an orbax checkpoint, a model card and, with --stablehlo, StableHLO programs.

python -m launch.export --workdir=runs/demo --output=runs/demo_export
"""

from absl import flags

from tsc_jax import cli
from tsc_jax.configs import plus
from tsc_jax.errors import InputError
from tsc_jax.files import open_path

_WORKDIR = flags.DEFINE_string("workdir", None, "Run to export.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write; launch.evaluate takes it as --workdir.")
_SELECTION = flags.DEFINE_string("selection", "last", "Checkpoint: last, best_on_holdout or best_on_test.")
_STORAGE = flags.DEFINE_string("storage", "float32", "Type of the arrays on disk: float32 or bfloat16.")
_LOCALIZATION = flags.DEFINE_enum(
    "localization",
    None,
    tuple(plus.CHOICES),
    "How segments are read from the outputs of the export; default: as the run's recipe says. plus is configs/plus.py.",
)
_STABLEHLO = flags.DEFINE_list("stablehlo", [], "Lengths in snippets; writes the forward pass of each as StableHLO.")
flags.mark_flags_as_required(["workdir", "output"])


def main(argv: list[str]) -> None:
    """Runs the command."""
    del argv
    from tsc_jax.training.export import export_run

    invalid = [length for length in _STABLEHLO.value if not (length.isdecimal() and int(length))]
    if invalid:
        raise InputError(
            f"--stablehlo holds {invalid[0]!r}, expected positive numbers of snippets, separated by commas"
        )
    lengths = [int(length) for length in _STABLEHLO.value]
    workdir, output = open_path(_WORKDIR.value), open_path(_OUTPUT.value)
    changes = plus.CHOICES.get(_LOCALIZATION.value, {})
    print(export_run(workdir, output, _SELECTION.value, _STORAGE.value, lengths, changes))


if __name__ == "__main__":
    cli.run(main, buckets=["workdir", "output"])
