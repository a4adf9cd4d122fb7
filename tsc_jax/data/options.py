"""What the user says about a data set beyond its files."""

import dataclasses
from pathlib import Path

from tsc_jax.data.timing import UNKNOWN, Timing


@dataclasses.dataclass(frozen=True)
class Options:
    """None and empty values stand for what the files say."""

    modality: str = "both"  # one of features.MODALITIES
    subsets: tuple[str, str] | None = None  # names of the training and test subsets
    known_subsets: tuple[str, str] | None = None  # those of a published data set
    annotations: tuple[Path, ...] = ()  # one file, or one of the training and one of the test videos
    features: Path | None = None  # folder, or file of many videos
    timing: Timing = UNKNOWN  # replaces that of meta.json
