"""A small data set in memory, and prepared."""

import functools
from pathlib import Path

import numpy as np

from tests.data.layouts import CLASSES, make_examples
from tsc_jax.data.builder import prepare
from tsc_jax.data.dataset import Dataset, open_dataset
from tsc_jax.data.source import SPLITS, Source, SourceVideo


def make_source() -> Source:
    """The small data set, in memory."""

    def video(each) -> SourceVideo:
        segments = tuple((start, end) for start, end in each.segments)
        labels = tuple(dict.fromkeys(each.segment_labels))
        read = functools.partial(np.copy, each.features)
        return SourceVideo(each.name, each.duration, labels, segments, tuple(each.segment_labels), read)

    examples = make_examples()
    return Source(
        CLASSES, 2.0, {split: tuple(video(each) for each in examples if each.split == split) for split in SPLITS}
    )


def prepared(source: Source, data_dir: Path, name: str = "small") -> Dataset:
    assert prepare(lambda: source, name, data_dir)
    return open_dataset(data_dir, name)
