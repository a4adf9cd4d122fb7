"""Looks at the files of a data set: which layout they show, and which belong to no video."""

from collections.abc import Iterator
from pathlib import Path

from tsc_jax.data import joint
from tsc_jax.data.annotations import read_lines
from tsc_jax.data.source import Source
from tsc_jax.doctor.findings import Example
from tsc_jax.errors import InputError, Refuse, attempt

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


def check_files(directory: Path, source: Source, refuse: Refuse) -> Iterator[Example]:
    """Finds videos in no subset, feature files of no video, and videos of Ambiguous_test.txt without annotation.

    `refuse` receives the error about an Ambiguous_test.txt that is not text.
    """
    if all(source.splits.values()):
        for video in source.unlisted:
            wrong = [str(fault).rpartition(f'"{video.name}": ')[2] for fault in video.faults[:1]]
            yield "unlisted", ": ".join([video.name, *wrong])
    yield from (("extra_files", file.removeprefix(f"{directory}/")) for file in source.unused)
    names = {video.name for videos in (*source.splits.values(), source.unlisted) for video in videos}
    for pattern in ("Ambiguous_test.txt", f"{joint.ANNOTATIONS}/Ambiguous_test.txt"):
        for file in directory.glob(pattern):
            listed = dict.fromkeys(line.split()[0] for line in attempt(refuse, read_lines, file) or () if line)
            yield from (("ambiguous", name) for name in listed if name not in names)
