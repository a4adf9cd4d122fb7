"""Opens a prepared data set; its index is read at once, features are read video by video."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from tsc_jax.buckets import in_bucket, local_copy
from tsc_jax.data.builder import config_of, prepared_folder
from tsc_jax.data.checks import rate_fits
from tsc_jax.data.clock import Clock
from tsc_jax.data.index import Index, index_of
from tsc_jax.data.source import SPLITS
from tsc_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Video:
    """One video without its features."""

    name: str  # unique in its data set
    num_snippets: int  # T
    duration: float  # in seconds
    labels: np.ndarray  # bool [C], video-level labels
    segments: np.ndarray  # float64 [N, 2], start and end of every action instance in seconds
    segment_labels: np.ndarray  # int64 [N], class indices of the segments
    snippets_per_second: float = 1.0  # rate of its features
    offset: float = 0.0  # when its first snippet starts, in seconds

    @property
    def clock(self) -> Clock:
        """Its rate and offset."""
        return Clock(self.snippets_per_second, self.offset)

    @property
    def rate_fits(self) -> bool:
        """Whether the rate fits the number of snippets and the duration."""
        return rate_fits(self.num_snippets, self.duration, *self.clock)


@dataclasses.dataclass(frozen=True)
class Split:
    """Some videos of a data set, sorted by name."""

    videos: tuple[Video, ...]
    records: np.ndarray  # int64, what to give to `read` for each video
    read: Callable[[int], np.ndarray]  # returns features, float32 [T, D]; several threads may call it

    @property
    def has_segments(self) -> bool:
        """Whether there is an action instance in it, which mAP needs."""
        return any(len(video.segments) for video in self.videos)

    @property
    def clock(self) -> Clock:
        """The rates and offsets of all videos, [V] each."""
        videos = self.videos
        return Clock(
            np.array([each.snippets_per_second for each in videos]), np.array([each.offset for each in videos])
        )

    def features(self, index: int) -> np.ndarray:
        """Reads the features of video `index` from disk, float32 [T, D]."""
        return self.read(int(self.records[index]))

    def at_least(self, num_snippets: int) -> "Split":
        """Keeps the videos that have at least `num_snippets` snippets."""
        return self.select([index for index, video in enumerate(self.videos) if video.num_snippets >= num_snippets])

    def select(self, indices: Sequence[int]) -> "Split":
        """Keeps the videos at `indices`, in that order."""
        videos = tuple(self.videos[index] for index in indices)
        return dataclasses.replace(self, videos=videos, records=self.records[np.asarray(indices, int)])

    def hold_out(self, share: float, seed: int) -> tuple["Split", "Split"]:
        """Draws up to `share` of the videos at random; returns the rest, to train on, and the drawn videos.

        Each class of a drawn video keeps at least two videos in the rest, because methods that train on pairs of
        videos (config.train.pairs) need two per class.
        """
        left = np.sum([video.labels for video in self.videos], axis=0)
        held = []
        for index in np.random.default_rng(seed).permutation(len(self.videos)):
            labels = self.videos[index].labels
            if len(held) < round(share * len(self.videos)) and (left[labels] > 2).all():
                held.append(index)
                left -= labels
        return self.select(np.setdiff1d(np.arange(len(self.videos)), held)), self.select(sorted(held))


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A prepared data set."""

    name: str  # as given to launch.prepare
    classes: tuple[str, ...]  # in the order of their indices
    snippets_per_second: float | None  # rate of the snippet features; None: every video has its own
    width: int  # D
    fingerprint: str  # sha256 of everything in it
    train: Split
    test: Split
    extractor: Any = None  # what its files say of the extractor of its features; None: nothing

    @property
    def offset_snippets(self) -> float:
        """When the first snippet of a video starts, in snippets; 0 if that differs between videos."""
        clock = Clock(*map(np.concatenate, zip(self.train.clock, self.test.clock, strict=True)))
        offsets = clock.offset * clock.rate
        return float(offsets[0]) if np.ptp(offsets) < 1e-6 else 0.0


def unlabelled(
    names: Sequence[str],
    lengths: Sequence[int],
    read: Callable[[int], np.ndarray],
    num_classes: int,
    snippets_per_second: float,
    offset: float = 0.0,
) -> Split:
    """Makes a split of videos without annotations, in the given order; several threads may call `read`.

    `lengths` are in snippets, and with the rate and the `offset` in seconds give the durations; `read(index)` returns
    float32 [T, D].
    """
    no_annotations = (np.zeros(num_classes, bool), np.zeros((0, 2)), np.zeros(0, np.int64))
    videos = tuple(
        Video(name, int(length), offset + length / snippets_per_second, *no_annotations, snippets_per_second, offset)
        for name, length in zip(names, lengths, strict=True)
    )
    return Split(videos, np.arange(len(videos)), read)


def open_dataset(data_dir: str | os.PathLike, name: str) -> Dataset:
    """Opens the data set `name` in `data_dir`; raises InputError if it is not prepared or damaged.

    Where `data_dir` is in a bucket, a copy on this machine is opened.
    """
    if in_bucket(data_dir):
        data_dir = local_copy(data_dir, name)
    folder = prepared_folder(data_dir, name)
    if not folder.exists():
        layout = "" if config_of(name).read_embedded else " --layout per_video|joint --source DIR"
        raise InputError(
            f"{folder}: data set {name} is not prepared; run"
            f" python -m launch.prepare --name {name} --data_dir {data_dir}{layout}"
        )
    with _damage(folder):
        builder = tfds.builder_from_directory(folder)
        metadata = builder.info.metadata
        return Dataset(
            name=name,
            classes=tuple(metadata["classes"]),
            **{field: metadata[field] for field in ("snippets_per_second", "width", "fingerprint")},
            **{split: _open_split(builder, split, entries) for split, entries in _entries(builder).items()},
            extractor=metadata.get("extractor"),
        )


@contextlib.contextmanager
def _damage(folder: Path) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    # TFDS, protobuf and array_record raise many types of errors for damaged files.
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{folder}: the prepared data set is damaged ({reason}); prepare it with --overwrite"
        ) from error


def _entries(builder: tfds.core.DatasetBuilder) -> Index:
    return index_of(builder.info.metadata) or {split: _read_entries(builder, split) for split in SPLITS}


def _read_entries(builder: tfds.core.DatasetBuilder, split: str) -> list[dict[str, Any]]:
    """Reads all records of a data set without an index."""
    # Skips the features, which take long to decode; TFDS's own PartialDecoding needs TensorFlow.
    others = {name: feature for name, feature in builder.info.features.items() if name != "features"}
    decode = tfds.features.FeaturesDict(others).deserialize_example_np
    raw = builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    # The first versions wrote no rate of single videos.
    shared = {"snippets_per_second": builder.info.metadata["snippets_per_second"], "offset": 0.0}
    records = (shared | decode(raw[record]) for record in range(len(raw)))
    return [{**record, "name": record["name"].decode("utf-8")} for record in records]


def _open_split(builder: tfds.core.DatasetBuilder, split: str, entries: Sequence[Mapping[str, Any]]) -> Split:
    source = builder.as_data_source(split)
    # The same reader, given only the names of the files, reads their numbers of records, at the end of each.
    held = len(type(source.data_source)([os.fspath(path) for path in builder.info.splits[split].filepaths]))
    if not held == len(source) == len(entries):
        raise ValueError(f"its files have {held} {split} videos, expected {len(entries)}")
    videos = [_video(entry, len(builder.info.metadata["classes"])) for entry in entries]

    def read(record: int) -> np.ndarray:
        with _damage(Path(builder.data_dir)):
            found, video = source[record], videos[record]
            name, features = found["name"].decode("utf-8"), found["features"]
            if (name, len(features)) != (video.name, video.num_snippets):
                raise ValueError(
                    f'record {record} of {split} is "{name}" with {len(features)} snippets,'
                    f' expected "{video.name}" with {video.num_snippets}'
                )
            return features

    records = np.array(sorted(range(len(videos)), key=lambda record: videos[record].name))
    return Split(tuple(videos[record] for record in records), records, read)


def _video(entry: Mapping[str, Any], classes: int) -> Video:
    return Video(
        name=entry["name"],
        num_snippets=int(entry["num_snippets"]),
        duration=float(entry["duration"]),
        labels=np.isin(np.arange(classes), entry["labels"]),
        segments=np.array(entry["segments"], np.float64).reshape(-1, 2),
        segment_labels=np.array(entry["segment_labels"], np.int64),
        snippets_per_second=float(entry["snippets_per_second"]),
        offset=float(entry["offset"]),
    )
