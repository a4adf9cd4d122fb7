"""Finds actions in videos or feature files with a trained network.

  python -m launch.predict features/test --checkpoint runs/demo --output results.json --report out.html
  python -m launch.predict videos --checkpoint runs/demo_export --csv results.csv
  python -m launch.predict a.mp4 b.npy --checkpoint runs/demo_export --csv results.csv
  python -m launch.predict a.mp4 --checkpoint runs/demo_export --min_score 0.5 --labels subtitles --labels_form vtt

An INPUT is a file of snippet features ([T, D]; .npy, .npz, .csv, .h5), a video, or a folder of features or of videos.
In a folder, those below it count too, and rgb/ and flow/ are joined. A folder of both kinds is refused, but tables
(.csv) may lie beside videos. A folder of pictures alone, such as frame_000001.jpg, holds the frames of one video; a
folder of such folders gives a video each. --inputs names a file with one of these in each line.

Times are in seconds. In the CSV file, a name that a spreadsheet would run as a formula gets an apostrophe in front.
--labels writes a file per video, named after it, for players (srt, vtt), Audacity and ELAN; files of the same names are
replaced.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from tsc_jax import cli
from tsc_jax.errors import InputError
from tsc_jax.files import check_folder, check_target, is_stream, write_text
from tsc_jax.report import labels

if TYPE_CHECKING:
    from tsc_jax.localization.segments import Segments

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir of launch.train, or output of launch.export.")
_SELECTION = flags.DEFINE_string("selection", "last", "Checkpoint: last, best_on_holdout or best_on_test.")
_INPUTS = flags.DEFINE_string(
    "inputs", None, "File with an INPUT in each line; paths count from the working folder, as those of arguments do."
)
_FRAMES = flags.DEFINE_float("frames_per_second", None, "Rate of the pictures in folders of frames.")
_RATE = flags.DEFINE_float("snippets_per_second", None, "Rate of the features; default: from the checkpoint.")
_DTYPE = flags.DEFINE_enum(
    "dtype",
    None,
    ["float32", "bfloat16"],
    "Type of the I3D network that extracts features of videos; default: that of the training videos.",
)
_TOP = flags.DEFINE_integer("top", 5, "Number of segments to print per video.", lower_bound=0)
_MIN_SCORE = flags.DEFINE_float("min_score", None, "Drop segments with a lower score.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write, in ActivityNet's format for results.")
_CSV = flags.DEFINE_string("csv", None, "CSV file to write: video, label, start, end, score.")
_CSV_BOM = flags.DEFINE_bool(
    "csv_bom", False, "Whether --csv begins with a byte order mark, without which Excel garbles accents."
)
_LABELS = flags.DEFINE_string("labels", None, "Folder for one file of labels per video, such as subtitles.")
_LABELS_FORM = flags.DEFINE_enum(
    "labels_form",
    "srt",
    list(labels.FORMS),
    "What --labels writes: subtitles (.srt, .vtt), a label track (.txt) or an annotation document (.eaf).",
)
_REPORT = flags.DEFINE_string("report", None, "HTML page to write, with one timeline per video.")
_GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "Annotations in ActivityNet's format, to show in --report.")
flags.mark_flags_as_required(["checkpoint"])


def main(argv: list[str]) -> None:
    """Runs the command."""
    check_flags()
    from tsc_jax import predict
    from tsc_jax.api import load
    from tsc_jax.report import lists
    from tsc_jax.video.inputs import given_paths

    paths = given_paths(argv[1:], _INPUTS.value)
    localizer = load(_CHECKPOINT.value, _SELECTION.value, _RATE.value)
    classes, truth = localizer.classes, {}
    files, failures = predict.find_files(paths, _FRAMES.value)
    if _GROUND_TRUTH.value is not None:
        truth = predict.read_truth(Path(_GROUND_TRUTH.value), classes, [file.stem for file in files])
        if files and not truth:
            raise InputError(
                f"--ground_truth {_GROUND_TRUTH.value}: annotates none of the {len(files)} videos; the first video is"
                f' "{files[0].stem}"'
            )
    inputs, unusable = predict.open_inputs(files, localizer, _DTYPE.value)
    failures += unusable
    unwritten = []
    if inputs:
        localized = predict.find_actions(inputs, localizer, _MIN_SCORE.value)
        found, durations = localized.segments, {video.name: video.duration for video in inputs}
        unwritten = [
            *write_files(list(durations), found, classes),
            *predict.written(_REPORT, lambda path: predict.write_report(path, inputs, localized, truth, localizer)),
        ]
        print(lists.as_table(durations, found, classes, _TOP.value))
    number = f"{len(failures)} of {len(inputs) + len(failures)} inputs could not be used"
    if problems := [*failures, *unwritten, *[number] * bool(failures)]:
        sys.stdout.flush()
        print("".join(f"{problem}\n" for problem in problems[:-1]), end="", file=sys.stderr)
        raise InputError(problems[-1])


def write_files(names: list[str], found: "Segments", classes: Sequence[str]) -> list[str]:
    """Writes --output, --csv and --labels; returns a sentence per flag whose files cannot be written."""
    from tsc_jax.evaluation import results
    from tsc_jax.predict import written
    from tsc_jax.report import lists

    bom = "\ufeff" * _CSV_BOM.value
    return [
        *written(_OUTPUT, lambda path: results.write_predictions(path, found, names, classes)),
        *written(_CSV, lambda path: write_text(path, bom + lists.as_csv(names, found, classes))),
        *written(_LABELS, lambda path: labels.write_labels(path, _LABELS_FORM.value, names, found, classes)),
    ]


def check_flags() -> None:
    """Raises InputError for invalid flags, before anything is computed."""
    files = {}
    for flag in (_OUTPUT, _CSV, _REPORT):
        if flag.value is not None:
            check_target(flag.name, flag.value)
            other = flag if is_stream(flag.value) else files.setdefault(os.path.realpath(flag.value), flag)
            if other is not flag:
                raise InputError(f"--{flag.name} {flag.value}: is the file of --{other.name} too, expected another one")
    if _LABELS.value is not None:
        check_folder(f"--labels {_LABELS.value}", _LABELS.value)
    for flag, needed, reason in (
        (_GROUND_TRUTH, _REPORT, "which shows it"),
        (_CSV_BOM, _CSV, "which begins with it"),
        (_LABELS_FORM, _LABELS, "the folder for such files"),
    ):
        if flag.present and needed.value is None:
            raise InputError(f"--{flag.name} needs --{needed.name}, {reason}")


if __name__ == "__main__":
    cli.run(main, ["[INPUT]..."], ["checkpoint"])
