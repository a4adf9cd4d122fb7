"""The flags of launch.prepare and launch.doctor that describe a data set beyond its files."""

from pathlib import Path

from absl import flags

from tsc_jax.data.annotations import load_json
from tsc_jax.data.features import MODALITIES
from tsc_jax.data.options import Options
from tsc_jax.data.source import DURATION
from tsc_jax.data.timing import Timing, by_name
from tsc_jax.errors import InputError
from tsc_jax.files import local_path

LAYOUT = flags.DEFINE_enum(
    "layout", None, ["per_video", "joint"], "Layout of the files in --source; default: detected."
)
_MODALITY = flags.DEFINE_enum("modality", "both", MODALITIES, "Which I3D features to use, if there are both.")
_SUBSETS = flags.DEFINE_list("subsets", [], "Names of the training and the test subset in the annotations: train,test.")
_ANNOTATIONS = flags.DEFINE_list(
    "annotations", [], "JSON file, or two: TRAIN.json,TEST.json; default: gt.json, or the only other one in --source."
)
_FEATURES = flags.DEFINE_string(
    "features", None, "Folder of features, or .npz or HDF5 file of many videos; default: features/ in --source."
)
_RATE = flags.DEFINE_string(
    "snippets_per_second",
    None,
    f'Rate of the snippet features, or "{DURATION}": T / duration; default: from the files.',
)
_OFFSET = flags.DEFINE_float(
    "offset_seconds", None, "When the first snippet of a video starts; default: from the files."
)
_STRIDE = flags.DEFINE_float("feat_stride", None, "Frames from one snippet to the next; gives the rate, with the fps.")
_FRAMES = flags.DEFINE_float("num_frames", None, "Frames that the features of a snippet see; default: --feat_stride.")
_FPS = flags.DEFINE_string(
    "fps", None, "Frames per second of all videos, or a JSON file of them by video; default: from the files."
)


def options() -> Options:
    """Returns what the flags say; raises InputError for an invalid value."""
    timing = Timing(_rate(), _OFFSET.value, _STRIDE.value, _FRAMES.value, _fps())
    timing.check("--")
    for flag, numbers in ((_SUBSETS, (0, 2)), (_ANNOTATIONS, (0, 1, 2))):
        if len(flag.value) not in numbers:
            raise InputError(f"--{flag.name} {','.join(flag.value)}: holds {len(flag.value)}, expected {numbers[-1]}")
    return Options(
        modality=_MODALITY.value,
        subsets=tuple(_SUBSETS.value) or None,
        annotations=tuple(Path(local_path(each, "--annotations ")) for each in _ANNOTATIONS.value),
        features=None if _FEATURES.value is None else Path(_FEATURES.value),
        timing=timing,
    )


def _rate() -> float | str | None:
    return _RATE.value if _RATE.value in (None, DURATION) else _number(_RATE)


def _fps():
    if _FPS.value is None or not _FPS.value.endswith(".json"):
        return None if _FPS.value is None else _number(_FPS)
    return by_name(load_json(Path(_FPS.value)))


def _number(flag: flags.FlagHolder) -> float:
    try:
        return float(flag.value)
    except ValueError:
        raise InputError(f"--{flag.name} is {flag.value!r}, expected a positive number") from None
