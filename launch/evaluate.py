"""Evaluates a run of launch.train, or scores any results file against annotations without a model.

  python -m launch.evaluate --workdir runs/demo
  python -m launch.evaluate --workdir runs/demo --localization plus
  python -m launch.evaluate --workdir runs/demo,runs/best
  python -m launch.evaluate --workdir runs/demo --subset train
  python -m launch.evaluate --predictions P.json --ground_truth G.json --protocol published
  python -m launch.evaluate --predictions P.json --ground_truth G.json --all-protocols

Both files are in ActivityNet's format, with times in seconds; segments may be strings. --subset=train writes what the
last step of a run finds in its training videos, predictions_train.json, for a second stage to learn from.
"""

from pathlib import Path

from absl import flags

from tsc_jax import cli
from tsc_jax.configs import plus
from tsc_jax.data.source import SPLITS
from tsc_jax.errors import InputError
from tsc_jax.evaluation import protocols
from tsc_jax.files import open_path

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Run to evaluate, or several with commas between them; flags given here override their recipes."
)
_LOCALIZATION = flags.DEFINE_enum(
    "localization",
    None,
    tuple(plus.CHOICES),
    "How segments are read from the outputs of the run; default: as its recipe says. plus is configs/plus.py.",
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data sets; default: the one of the training.")
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "Folder for metrics.json, predictions.json, report.html and figures/; default: --workdir, or none where flags"
    " override its recipe.",
)
_PREDICTIONS = flags.DEFINE_string("predictions", None, "Results file to score.")
_GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "Annotations to score against.")
_SUBSET = flags.DEFINE_string(
    "subset",
    None,
    "Videos to evaluate. With --workdir: test (default) or train. With --predictions: a subset of the annotations;"
    " default: test if they have it, else validation.",
)
_PROTOCOL = flags.DEFINE_enum(
    "protocol",
    None,
    protocols.PROTOCOLS,
    "Whether to compare times as they are, or to round the ground truth to snippets.",
)
_TIOU = flags.DEFINE_string(
    "tiou", None, "tIoU thresholds, START:STOP:STEP or separated by commas; default: 0.1:0.9:0.1."
)
_RATE = flags.DEFINE_float("snippets_per_second", 25 / 16, "Rate of the snippets to which --protocol published rounds.")
_VIDEOS = flags.DEFINE_string("videos", None, "File with the names of the videos to evaluate, one per line.")
_AMBIGUOUS = flags.DEFINE_string("ambiguous", None, "Ambiguous_test.txt: predictions in these segments are ignored.")
_ALL_PROTOCOLS = flags.DEFINE_bool("all_protocols", False, "Whether to show how much each choice changes the score.")
flags.DEFINE_alias("all-protocols", "all_protocols")


def main(argv: list[str]) -> None:
    """Runs the command."""
    del argv
    print(score_file() if _WORKDIR.value is None else evaluate_run())


def evaluate_run() -> str:
    """Evaluates the checkpoints of --workdir again."""
    from tsc_jax.report.run import report, side_by_side
    from tsc_jax.report.training_videos import report_training_videos

    for flag in (_PREDICTIONS, _GROUND_TRUTH, _RATE, _VIDEOS, _AMBIGUOUS, _ALL_PROTOCOLS):
        if flag.present:
            raise InputError(f"--{flag.name} does not go with --workdir, only with --predictions")
    subset = _SUBSET.value or "test"
    if subset not in SPLITS:
        raise InputError(f"--subset={subset} does not go with --workdir, which takes {' or '.join(SPLITS)}")
    given = {"eval.protocol": _PROTOCOL.value, "eval.tiou": _TIOU.value, "data.data_dir": _DATA_DIR.value}
    changes = {key: value for key, value in given.items() if value is not None}
    changes |= plus.CHOICES.get(_LOCALIZATION.value, {})
    workdirs = [open_path(part) for part in _WORKDIR.value.split(",")]
    output = _OUTPUT.value and open_path(_OUTPUT.value)
    if len(workdirs) == 1:
        return (report if subset == "test" else report_training_videos)(*workdirs, changes, output)
    if output or subset == "train":
        raise InputError("--output and --subset=train go with a single --workdir")
    return side_by_side(workdirs, changes)


def score_file() -> str:
    """Scores --predictions against --ground_truth."""
    from tsc_jax.evaluation.rescore import rescore

    for flag in (_PREDICTIONS, _GROUND_TRUTH):
        if flag.value is None:
            raise InputError(f"--{flag.name} is missing: give --workdir, or --predictions and --ground_truth")
    for flag in (_DATA_DIR, _LOCALIZATION, _OUTPUT):
        if flag.value is not None:
            raise InputError(f"--{flag.name} does not go with --predictions, only with --workdir")
    if _RATE.value <= 0:
        raise InputError(f"--snippets_per_second is {_RATE.value}, expected a positive number")
    return rescore(
        Path(_PREDICTIONS.value),
        Path(_GROUND_TRUTH.value),
        protocol=_PROTOCOL.value or "seconds",
        tious=protocols.parse_tious(_TIOU.value or "0.1:0.9:0.1"),
        snippets_per_second=_RATE.value,
        subset=_SUBSET.value,
        videos_file=_VIDEOS.value and Path(_VIDEOS.value),
        ambiguous_file=_AMBIGUOUS.value and Path(_AMBIGUOUS.value),
        all_protocols=_ALL_PROTOCOLS.value,
    )


if __name__ == "__main__":
    cli.run(main, buckets=["workdir", "output", "data_dir"])
