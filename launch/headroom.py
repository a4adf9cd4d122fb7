"""Measures what each step from activations to segments costs: how much mAP would rise if it alone were perfect.

  python -m launch.headroom --workdir runs/demo
  python -m launch.headroom --predictions P.json --ground_truth G.json --out headroom.json

The steps are the ranking, the classes of the video, the class of each segment, and the boundaries; what no prediction
finds is lost to all of them. For a run, headroom.json is written into it. Both files are in ActivityNet's format, with
times in seconds.
"""

from pathlib import Path

from absl import flags

from tsc_jax import cli
from tsc_jax.errors import InputError
from tsc_jax.evaluation import protocols
from tsc_jax.files import check_target, open_path

_WORKDIR = flags.DEFINE_string("workdir", None, "Run to measure; flags given here override its recipe.")
_SELECTION = flags.DEFINE_string("selection", "last", "Checkpoint: last, best_on_holdout or best_on_test.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared data sets; default: the one of the training.")
_PREDICTIONS = flags.DEFINE_string("predictions", None, "Results file to measure.")
_GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "Annotations to compare with.")
_OUT = flags.DEFINE_string("out", None, "JSON file to write, of a results file; default: none.")
_SUBSET = flags.DEFINE_string("subset", None, "Videos to compare; default: test if annotated, else validation.")
_VIDEOS = flags.DEFINE_string("videos", None, "File with the names of the videos to compare, one per line.")
_TIOU = flags.DEFINE_string(
    "tiou", None, "tIoU thresholds, START:STOP:STEP or separated by commas; default: 0.1:0.9:0.1."
)
_PROTOCOL = flags.DEFINE_enum(
    "protocol", None, protocols.PROTOCOLS, "Whether to compare times, or ground truth rounded to snippets."
)
_RATE = flags.DEFINE_float("snippets_per_second", 25 / 16, "Rate of the snippets to which --protocol published rounds.")


def main(argv: list[str]) -> None:
    """Runs the command."""
    del argv
    print(of_file() if _WORKDIR.value is None else of_runs())


def of_runs() -> str:
    """Measures --workdir."""
    from tsc_jax.report import headroom

    refuse("--workdir, only with --predictions", _PREDICTIONS, _GROUND_TRUTH, _OUT, _SUBSET, _VIDEOS, _RATE)
    given = {"eval.protocol": _PROTOCOL.value, "eval.tiou": _TIOU.value, "data.data_dir": _DATA_DIR.value}
    changes = {key: value for key, value in given.items() if value is not None}
    return headroom.of_runs(open_path(_WORKDIR.value), _SELECTION.value, changes)


def of_file() -> str:
    """Measures --predictions against --ground_truth."""
    for flag in (_PREDICTIONS, _GROUND_TRUTH):
        if flag.value is None:
            raise InputError(f"--{flag.name} is missing: give --workdir, or --predictions and --ground_truth")
    refuse("--predictions, only with --workdir", _SELECTION, _DATA_DIR)
    if _RATE.value <= 0:
        raise InputError(f"--snippets_per_second is {_RATE.value}, expected a positive number")
    if _OUT.value is not None:
        check_target("out", _OUT.value)
    from tsc_jax.evaluation import rescore, results
    from tsc_jax.report import headroom

    tious = protocols.parse_tious(_TIOU.value or "0.1:0.9:0.1")
    request = rescore.read_request(
        Path(_PREDICTIONS.value),
        Path(_GROUND_TRUTH.value),
        tious,
        _RATE.value,
        _SUBSET.value,
        _VIDEOS.value and Path(_VIDEOS.value),
    )
    content, text = headroom.of_file(request, _PROTOCOL.value or "seconds")
    if _OUT.value is not None:
        results.write_json(Path(_OUT.value), content)
    return text


def refuse(where: str, *unused: flags.FlagHolder) -> None:
    """Raises InputError for a flag that was given but is not used."""
    for flag in unused:
        if flag.present:
            raise InputError(f"--{flag.name} does not go with {where}")


if __name__ == "__main__":
    cli.run(main, buckets=["workdir", "data_dir"])
