"""Rescores, suppresses or fuses the predictions of any results file, without a network.

  python -m launch.refine --predictions P.json --out Q.json --density=0.5 --soft_nms=0.3
  python -m launch.refine --predictions P.json --out Q.json --fusion=gaussian --min_score=0.4 --ground_truth G.json

The files are in ActivityNet's format, with times in seconds. The steps are taken in this order: density, NMS or fusion,
the choice of the best. With --ground_truth, two tables show mAP before and after, and F1: how well the predictions
would do as pseudo labels.
"""

from pathlib import Path

from absl import flags

from tsc_jax import cli
from tsc_jax import settings as rules
from tsc_jax.errors import InputError
from tsc_jax.evaluation import protocols
from tsc_jax.files import check_target

_PREDICTIONS = flags.DEFINE_string("predictions", None, "Results file to read.", required=True)
_OUT = flags.DEFINE_string("out", None, "Results file to write.", required=True)
_DENSITY = flags.DEFINE_float(
    "density", None, "Multiply scores by (sum of tIoU * score over predictions of the same video and class) ^ DENSITY."
)
_SOFT_NMS = flags.DEFINE_float("soft_nms", None, "Gaussian soft-NMS with this sigma.")
_HARD_NMS = flags.DEFINE_float("hard_nms", None, "Remove what a better prediction overlaps with a higher tIoU.")
_PIXELS = flags.DEFINE_bool("pixels", False, "Whether NMS takes lengths as end - start + 1, as published code does.")
_FUSION = flags.DEFINE_enum("fusion", None, ["gaussian", "ricker"], "Make one segment of the predictions of an action.")
_COVER = flags.DEFINE_float("cover", 0.25, "Gaussian fusion: share of a prediction that a better one must cover.")
_TEMPERATURE = flags.DEFINE_float("temperature", 0.2, "Gaussian fusion: the weights are exp(score / TEMPERATURE).")
_RELATIVE = flags.DEFINE_bool(
    "relative", True, "Gaussian fusion: whether --temperature is a share of the best score of the video and class."
)
_MIN_SHARE = flags.DEFINE_float(
    "min_share", None, "Drop predictions with a smaller share of the best score of their video and class."
)
_MIN_SCORE = flags.DEFINE_float("min_score", None, "Drop predictions with a lower score.")
_GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "Annotations to score against, before and after.")
_SUBSET = flags.DEFINE_string("subset", None, "Videos to score; default: test if annotated, else validation.")
_VIDEOS = flags.DEFINE_string("videos", None, "File with the names of the videos to score, one per line.")
_TIOU = flags.DEFINE_string("tiou", "0.1:0.9:0.1", "tIoU thresholds, START:STOP:STEP or separated by commas.")
_PROTOCOL = flags.DEFINE_enum(
    "protocol", "seconds", protocols.PROTOCOLS, "Whether to compare times, or ground truth rounded to snippets."
)
_RATE = flags.DEFINE_float("snippets_per_second", 25 / 16, "Rate of the snippets to which --protocol published rounds.")

STEPS = (_DENSITY, _SOFT_NMS, _HARD_NMS, _FUSION, _MIN_SHARE, _MIN_SCORE)
RULES = (
    (_DENSITY, rules.NOT_NEGATIVE),
    (_SOFT_NMS, rules.POSITIVE),
    (_HARD_NMS, rules.SHARE),
    (_COVER, rules.BELOW_1),
    (_TEMPERATURE, rules.POSITIVE),
    (_MIN_SHARE, rules.SHARE),
    (_MIN_SCORE, rules.NUMBER),
    (_RATE, rules.POSITIVE),
)


def main(argv: list[str]) -> None:
    """Runs the command."""
    del argv
    check_flags()
    from tsc_jax.evaluation.refining import Steps, comparison, refine_file

    source, target = Path(_PREDICTIONS.value), Path(_OUT.value)
    scored = {"before": read_request(source)} if _GROUND_TRUTH.value is not None else {}
    before, after = refine_file(source, target, Steps(**{name: flags.FLAGS[name].value for name in Steps._fields}))
    print(f"{target}: {after} predictions of {before}")
    if scored:
        print("\n" + comparison(scored | {"after": read_request(target)}, _PROTOCOL.value))


def read_request(predictions: Path):
    """Reads a results file and the ground truth that the flags name."""
    from tsc_jax.evaluation import rescore

    tious, videos = protocols.parse_tious(_TIOU.value), _VIDEOS.value and Path(_VIDEOS.value)
    return rescore.read_request(predictions, Path(_GROUND_TRUTH.value), tious, _RATE.value, _SUBSET.value, videos)


def check_flags() -> None:
    """Raises InputError for invalid flags, before anything is computed."""
    check_target("out", _OUT.value)
    for flag, rule in RULES:
        if flag.value is not None and not rule.holds(flag.value):
            raise InputError(f"--{flag.name} is {flag.value}, expected {rule.expected}")
    if all(flag.value is None for flag in STEPS):
        raise InputError(f"nothing to do: give one of {', '.join(f'--{flag.name}' for flag in STEPS)}")
    given = [f"--{flag.name}" for flag in (_SOFT_NMS, _HARD_NMS, _FUSION) if flag.value is not None]
    if len(given) > 1:
        raise InputError(f"found {' and '.join(given)}, expected at most one of them")
    if _PIXELS.value and not {"--soft_nms", "--hard_nms"} & set(given):
        raise InputError("--pixels needs --soft_nms or --hard_nms")
    for flag in (_COVER, _TEMPERATURE, _RELATIVE):
        if flag.present and _FUSION.value != "gaussian":
            raise InputError(f"--{flag.name} needs --fusion=gaussian")
    for flag in (_SUBSET, _VIDEOS, _TIOU, _PROTOCOL, _RATE):
        if flag.present and _GROUND_TRUTH.value is None:
            raise InputError(f"--{flag.name} needs --ground_truth")


if __name__ == "__main__":
    cli.run(main)
