"""Shows whether the rows of a run's bank became classes: a line for each row, bank.png and bank.json.

python -m launch.bank --workdir=runs/demo
"""

from pathlib import Path

from absl import flags

from tsc_jax import cli

_WORKDIR = flags.DEFINE_string("workdir", None, "Run, or export of one, to look at; the files are written there.")
_SELECTION = flags.DEFINE_string("selection", "last", "Which checkpoint: last, best_on_holdout or best_on_test.")
_SPLIT = flags.DEFINE_enum("split", "test", ["test", "train"], "Whose snippets are grouped by their true classes.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where launch.prepare wrote, if not where the run was trained.")
flags.mark_flags_as_required(["workdir"])


def main(argv: list[str]) -> None:
    """The command."""
    del argv
    from tsc_jax import methods

    changes = {} if _DATA_DIR.value is None else {"data.data_dir": _DATA_DIR.value}
    print(methods.part("tscnet", "report").report_bank(Path(_WORKDIR.value), _SELECTION.value, _SPLIT.value, changes))


if __name__ == "__main__":
    cli.run(main)
