"""Describes a data set and finds everything that is wrong with it before training.

  python -m launch.doctor --source DIR
  python -m launch.doctor --source DIR --name thumos14 --json findings.json

DIR is the --source of launch.prepare, or holds annotations only; then the missing features are an error, and their
checks are left out. Every finding is an error (training would fail or give wrong results), a warning or a note. The
exit code is 1 if there are errors or nothing could be read, else 0.
"""

import sys
from pathlib import Path

from absl import flags

from tsc_jax import cli
from tsc_jax.commands import called_here
from tsc_jax.files import check_target, write_text
from tsc_jax.launch import data_flags

_SOURCE = flags.DEFINE_string("source", None, "Folder that holds the data set, or its annotations.", required=True)
_NAME = flags.DEFINE_string("name", None, "Name of a published data set, which gives subsets, classes and rate.")
_JSON = flags.DEFINE_string("json", None, "JSON file to write all findings with all examples to.")


def main(argv: list[str]) -> None:
    """Runs the command."""
    del argv
    if _JSON.value is not None:
        check_target("json", _JSON.value)
    options = data_flags.options()
    from tsc_jax.data.builder import config_of
    from tsc_jax.data.layouts import detect_layout
    from tsc_jax.doctor import report
    from tsc_jax.doctor.examine import examine

    directory = Path(_SOURCE.value)
    layout = data_flags.LAYOUT.value or detect_layout(directory)
    examination = examine(directory, layout, config_of(_NAME.value or ""), options)
    if _JSON.value is not None:
        write_text(Path(_JSON.value), report.as_json(examination))
    print(called_here(report.as_text(examination)))
    if report.counts(examination.findings)["error"]:
        sys.exit(1)


if __name__ == "__main__":
    cli.run(main)
