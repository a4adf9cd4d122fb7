"""Which layout the files of a data set have."""

from pathlib import Path

from tsc_jax.data import joint
from tsc_jax.errors import InputError

SIGNS = {  # of the layouts
    "joint": (joint.FEATURES, joint.ANNOTATIONS, "videoname.npy", "subset.npy", "segments.npy"),
    "per_video": ("gt.json", "split_train.txt", "split_test.txt", "features"),
}
JSON = ("*.json", "annotations/*.json")  # of the per_video layout, if there are no other signs


def detect_layout(directory: Path) -> str:
    """Returns the layout that the files in `directory` show; raises InputError for no folder, no layout, or both."""
    if not directory.is_dir():
        raise InputError(f"--source {directory}: no such folder")
    signs = {layout: [file for each in SIGNS[layout] for file in directory.glob(each)] for layout in SIGNS}
    layouts = [layout for layout in SIGNS if signs[layout]]
    if not layouts and any(True for each in JSON for _ in directory.glob(each)):
        layouts = ["per_video"]
    if not layouts:
        raise InputError(
            f"--source {directory}: no data set, expected {joint.FEATURES} and {joint.ANNOTATIONS} (joint layout)"
            " or features and gt.json or another JSON file (per_video layout)"
        )
    if len(layouts) > 1:
        names = " and ".join(signs[layout][0].name for layout in layouts)
        raise InputError(f"--source {directory}: holds {names}, which are signs of both layouts: give --layout")
    return layouts[0]
