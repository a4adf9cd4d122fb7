"""Looks at the files of a data set: which belong to no video."""

from collections.abc import Iterator
from pathlib import Path

from tsc_jax.data import joint
from tsc_jax.data.annotations import read_lines
from tsc_jax.data.source import Source
from tsc_jax.doctor.findings import Example
from tsc_jax.errors import Refuse, attempt


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
