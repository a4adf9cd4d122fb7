"""Evaluates a run of launch.train, or any results file against annotations with no model at all.

  python -m launch.evaluate --workdir runs/demo
  python -m launch.evaluate --predictions P.json --ground_truth G.json --protocol published
  python -m launch.evaluate --predictions P.json --ground_truth G.json --all-protocols

Both files are in ActivityNet's form, times in seconds; segments may be strings.
"""

from pathlib import Path

from absl import flags

from tsc_jax import cli
from tsc_jax.errors import InputError
from tsc_jax.evaluation import protocols

_WORKDIR = flags.DEFINE_string("workdir", None, "Run to evaluate; its recipe says how, but for the flags given here.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where launch.prepare wrote, if not where the run was trained.")
_PREDICTIONS = flags.DEFINE_string("predictions", None, "Results file to score.")
_GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "Annotations to score it against.")
_SUBSET = flags.DEFINE_string("subset", None, "Which videos: test where the annotations have it, else validation.")
_PROTOCOL = flags.DEFINE_enum(
    "protocol", None, protocols.PROTOCOLS, "Compares times as they are, or ground truth rounded to snippets."
)
_TIOU = flags.DEFINE_string("tiou", None, "Thresholds, START:STOP:STEP or a list with commas; default 0.1:0.9:0.1.")
_RATE = flags.DEFINE_float("snippets_per_second", 25 / 16, "Rate of the snippets that --protocol published rounds to.")
_VIDEOS = flags.DEFINE_string("videos", None, "File with the names of the videos to evaluate, one a line.")
_AMBIGUOUS = flags.DEFINE_string("ambiguous", None, "Ambiguous_test.txt: predictions in such stretches are left out.")
_ALL_PROTOCOLS = flags.DEFINE_bool("all_protocols", False, "Whether to show how much each choice moves the number.")
flags.DEFINE_alias("all-protocols", "all_protocols")


def main(argv: list[str]) -> None:
    """The command."""
    del argv
    print(score_file() if _WORKDIR.value is None else evaluate_run())


def evaluate_run() -> str:
    """Evaluates the checkpoints of --workdir anew, and writes and draws what they give."""
    from tsc_jax.report.run import report

    for flag in (_PREDICTIONS, _GROUND_TRUTH, _SUBSET, _RATE, _VIDEOS, _AMBIGUOUS, _ALL_PROTOCOLS):
        if flag.present:
            raise InputError(f"--{flag.name} was given beside --workdir, but goes with --predictions")
    given = {"eval.protocol": _PROTOCOL.value, "eval.tiou": _TIOU.value, "data.data_dir": _DATA_DIR.value}
    return report(Path(_WORKDIR.value), {key: value for key, value in given.items() if value is not None})


def score_file() -> str:
    """Scores --predictions against --ground_truth."""
    from tsc_jax.evaluation.rescore import rescore

    for flag in (_PREDICTIONS, _GROUND_TRUTH):
        if flag.value is None:
            raise InputError(f"--{flag.name} is missing: give --workdir, or --predictions and --ground_truth")
    if _DATA_DIR.value is not None:
        raise InputError("--data_dir was given beside --predictions, but goes with --workdir")
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
    cli.run(main)
