"""Finds actions in videos or feature files with a trained network.

  python -m launch.predict features/test --checkpoint runs/demo --output results.json --report out.html
  python -m launch.predict a.mp4 b.npy --checkpoint runs/demo_export --csv results.csv

An INPUT is a file of snippet features (.npy, [T, D]), a folder of such files, or a video. Times are in seconds. In the
CSV file a name that a spreadsheet would run as a formula begins with an apostrophe.
"""

import sys
from pathlib import Path

from absl import flags

from tsc_jax import cli
from tsc_jax.errors import InputError

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir of launch.train, or folder of launch.export.")
_SELECTION = flags.DEFINE_string("selection", "last", "Which checkpoint: last, best_on_holdout or best_on_test.")
_RATE = flags.DEFINE_float("snippets_per_second", None, "Rate of the features, where the checkpoint does not say it.")
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Of videos' features; that of launch.extract.")
_TOP = flags.DEFINE_integer("top", 5, "How many segments of a video to print.", lower_bound=0)
_MIN_SCORE = flags.DEFINE_float("min_score", None, "Leave out segments that score less.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write, in ActivityNet's results form.")
_CSV = flags.DEFINE_string("csv", None, "CSV file to write: video, label, start, end, score.")
_REPORT = flags.DEFINE_string("report", None, "HTML page to write, with a timeline for each video.")
_GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "Annotations in ActivityNet's form, to show in --report.")
flags.mark_flags_as_required(["checkpoint"])


def main(argv: list[str]) -> None:
    """The command."""
    check_flags()
    from tsc_jax import predict
    from tsc_jax.api import load
    from tsc_jax.evaluation import results
    from tsc_jax.files import write_text

    localizer = load(_CHECKPOINT.value, _SELECTION.value, _RATE.value)
    classes, truth = localizer.classes, {}
    files, failures = predict.find_files(argv[1:])
    if _GROUND_TRUTH.value is not None:
        truth = predict.read_truth(Path(_GROUND_TRUTH.value), classes, [file.stem for file in files])
        if files and not truth:
            known = f'knows none of these videos, the first of which is "{files[0].stem}"'
            raise InputError(f"--ground_truth {_GROUND_TRUTH.value}: {known}")
    inputs, unusable = predict.open_inputs(files, localizer, _DTYPE.value)
    failures += unusable
    if inputs:
        found = predict.find_actions(inputs, localizer, _MIN_SCORE.value)
        print(predict.as_table(found, classes, _TOP.value))
        if _OUTPUT.value is not None:
            names = [video.name for video in inputs]
            results.write_predictions(Path(_OUTPUT.value), found.segments, names, classes)
        if _CSV.value is not None:
            write_text(Path(_CSV.value), predict.as_csv(found, classes))
        if _REPORT.value is not None:
            predict.write_report(Path(_REPORT.value), found, truth, localizer)
    if failures:
        sys.stdout.flush()
        print("\n".join(failures), file=sys.stderr)
        raise InputError(f"{len(failures)} of {len(inputs) + len(failures)} inputs could not be used")


def check_flags() -> None:
    """Raises InputError where a file could not be written, before anything is computed."""
    for flag in (_OUTPUT, _CSV, _REPORT):
        if flag.value is None:
            continue
        if Path(flag.value).is_dir():
            raise InputError(f"--{flag.name} {flag.value}: is a folder, expected the name of a file")
        if not Path(flag.value).absolute().parent.is_dir():
            raise InputError(f"--{flag.name} {flag.value}: its folder is not there")
    if _GROUND_TRUTH.value is not None and _REPORT.value is None:
        raise InputError("--ground_truth is shown in --report, which is missing")


if __name__ == "__main__":
    cli.run(main, ["INPUT..."])
