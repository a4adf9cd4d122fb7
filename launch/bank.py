"""Shows whether the rows of TSC-Net's bank became classes: one line per row, bank.html and bank.json.

python -m launch.bank --workdir=runs/demo
"""

from absl import flags

from tsc_jax import cli

_WORKDIR = flags.DEFINE_string("workdir", None, "Workdir of a run, or its export; the files are written there.")
_SELECTION = flags.DEFINE_string("selection", "last", "Checkpoint: last, best_on_holdout or best_on_test.")
_SPLIT = flags.DEFINE_enum("split", "test", ["test", "train"], "Split whose snippets are grouped by true class.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data sets; default: the one of the training.")
flags.mark_flags_as_required(["workdir"])


def main(argv: list[str]) -> None:
    """Runs the command."""
    del argv
    from tsc_jax import methods

    changes = {} if _DATA_DIR.value is None else {"data.data_dir": _DATA_DIR.value}
    print(methods.part("tscnet", "report").report_bank(_WORKDIR.value, _SELECTION.value, _SPLIT.value, changes))


if __name__ == "__main__":
    cli.run(main, buckets=["workdir", "data_dir"])
