"""Evaluates: a results file against annotations, without any model.

  python -m launch.evaluate --predictions P.json --ground_truth G.json --protocol published
  python -m launch.evaluate --predictions P.json --ground_truth G.json --all-protocols

Both files are in ActivityNet's form, times in seconds; segments may be strings.
"""

from pathlib import Path

from absl import flags

from tsc_jax import cli
from tsc_jax.errors import InputError
from tsc_jax.evaluation import protocols

_PREDICTIONS = flags.DEFINE_string("predictions", None, "Results file to score.")
_GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "Annotations to score it against.")
_SUBSET = flags.DEFINE_string("subset", None, "Which videos: test where the annotations have it, else validation.")
_PROTOCOL = flags.DEFINE_enum(
    "protocol", "seconds", protocols.PROTOCOLS, "Compares times as they are, or ground truth rounded to snippets."
)
_TIOU = flags.DEFINE_string("tiou", "0.1:0.9:0.1", "Thresholds, as START:STOP:STEP or a list with commas.")
_RATE = flags.DEFINE_float("snippets_per_second", 25 / 16, "Rate of the snippets that --protocol published rounds to.")
_VIDEOS = flags.DEFINE_string("videos", None, "File with the names of the videos to evaluate, one a line.")
_AMBIGUOUS = flags.DEFINE_string("ambiguous", None, "Ambiguous_test.txt: predictions in such stretches are left out.")
_ALL_PROTOCOLS = flags.DEFINE_bool("all_protocols", False, "Whether to show how much each choice moves the number.")
flags.DEFINE_alias("all-protocols", "all_protocols")


def main(argv: list[str]) -> None:
    """The command."""
    del argv
    print(score_file())


def score_file() -> str:
    """Scores --predictions against --ground_truth."""
    from tsc_jax.evaluation.rescore import rescore

    for flag in (_PREDICTIONS, _GROUND_TRUTH):
        if flag.value is None:
            raise InputError(f"--{flag.name} is missing: scoring a file needs --predictions and --ground_truth")
    if _RATE.value <= 0:
        raise InputError(f"--snippets_per_second is {_RATE.value}, expected a positive number")
    return rescore(
        Path(_PREDICTIONS.value),
        Path(_GROUND_TRUTH.value),
        protocol=_PROTOCOL.value,
        tious=protocols.parse_tious(_TIOU.value),
        snippets_per_second=_RATE.value,
        subset=_SUBSET.value,
        videos_file=_VIDEOS.value and Path(_VIDEOS.value),
        ambiguous_file=_AMBIGUOUS.value and Path(_AMBIGUOUS.value),
        all_protocols=_ALL_PROTOCOLS.value,
    )


if __name__ == "__main__":
    cli.run(main)
