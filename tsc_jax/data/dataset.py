"""Opens a prepared data set; annotations are read at once, features video by video."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from tsc_jax.data.builder import config_of, prepared_folder
from tsc_jax.data.source import SPLITS
from tsc_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Video:
    """One video without its features.

    Attributes:
      name: unique in its data set.
      num_snippets: T.
      duration: in seconds.
      labels: bool [C], video-level labels.
      segments: float64 [N, 2], start and end of every action instance in seconds.
      segment_labels: int64 [N], class indices of the segments.
    """

    name: str
    num_snippets: int
    duration: float
    labels: np.ndarray
    segments: np.ndarray
    segment_labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Split:
    """Some videos of a data set, sorted by name.

    Attributes:
      videos: annotations and lengths.
      records: int64, index of each video in `source`.
      source: the records on disk; several threads may read them.
    """

    videos: tuple[Video, ...]
    records: np.ndarray
    source: Sequence[dict[str, Any]]

    def features(self, index: int) -> np.ndarray:
        """Reads the features of video `index` from disk, float32 [T, D]."""
        return self.source[int(self.records[index])]["features"]

    def at_least(self, num_snippets: int) -> "Split":
        """Keeps the videos that have at least `num_snippets` snippets."""
        return self.select([index for index, video in enumerate(self.videos) if video.num_snippets >= num_snippets])

    def select(self, indices: Sequence[int]) -> "Split":
        """Keeps the videos at `indices`, in that order."""
        videos = tuple(self.videos[index] for index in indices)
        return dataclasses.replace(self, videos=videos, records=self.records[np.asarray(indices, int)])

    def hold_out(self, share: float, seed: int) -> tuple["Split", "Split"]:
        """Draws up to `share` of the videos at random.

        Each class of a drawn video keeps at least two videos in the rest, because methods that train on pairs of
        videos (config.train.pairs) need two per class.

        Returns:
          The rest, to train on, and the drawn videos.
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
    """A prepared data set.

    Attributes:
      name: as given to launch.prepare.
      classes: the C action classes, in the order of their indices.
      snippets_per_second: rate of the snippet features.
      width: D.
      fingerprint: sha256 of everything in it.
      train: the training videos.
      test: the test videos.
    """

    name: str
    classes: tuple[str, ...]
    snippets_per_second: float
    width: int
    fingerprint: str
    train: Split
    test: Split


class _Features(Sequence):
    """Records that hold features only, read on access."""

    def __init__(self, read: Callable[[int], np.ndarray], number: int):
        self.read, self.number = read, number

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, record: int) -> dict[str, np.ndarray]:
        return {"features": self.read(record)}


def unlabelled(
    names: Sequence[str],
    lengths: Sequence[int],
    read: Callable[[int], np.ndarray],
    num_classes: int,
    snippets_per_second: float,
) -> Split:
    """Makes a split of videos without annotations, in the given order.

    Args:
      names: of the videos.
      lengths: T of each video, in snippets.
      read: returns the features of video `index`, float32 [T, D]; several threads may call it.
      num_classes: C.
      snippets_per_second: rate of the features; gives the durations.
    """
    no_annotations = (np.zeros(num_classes, bool), np.zeros((0, 2)), np.zeros(0, np.int64))
    videos = tuple(
        Video(name, int(length), length / snippets_per_second, *no_annotations)
        for name, length in zip(names, lengths, strict=True)
    )
    return Split(videos, np.arange(len(videos)), _Features(read, len(videos)))


def open_dataset(data_dir: str | os.PathLike, name: str) -> Dataset:
    """Opens the data set `name` that launch.prepare wrote into `data_dir`.

    Raises:
      InputError: the data set is not prepared, or damaged.
    """
    folder = prepared_folder(data_dir, name)
    if not folder.exists():
        layout = "" if config_of(name).read_embedded else " --layout per_video|joint --source DIR"
        raise InputError(
            f"{folder}: data set {name} is not prepared; run"
            f" python -m launch.prepare --name {name} --data_dir {data_dir}{layout}"
        )
    try:
        builder = tfds.builder_from_directory(folder)
        metadata = builder.info.metadata
        return Dataset(
            name=name,
            classes=tuple(metadata["classes"]),
            **{field: metadata[field] for field in ("snippets_per_second", "width", "fingerprint")},
            **{split: _open_split(builder, split, len(metadata["classes"])) for split in SPLITS},
        )
    # TFDS, protobuf and array_record raise many types of errors for damaged files.
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{folder}: the prepared data set is damaged ({reason}); prepare it with --overwrite"
        ) from error


def _open_split(builder: tfds.core.DatasetBuilder, split: str, classes: int) -> Split:
    # Skips the features, which take long to decode; TFDS's own PartialDecoding needs TensorFlow.
    others = {name: feature for name, feature in builder.info.features.items() if name != "features"}
    decode = tfds.features.FeaturesDict(others).deserialize_example_np
    raw = builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    videos = [_video(decode(raw[record]), classes) for record in range(len(raw))]
    records = np.array(sorted(range(len(videos)), key=lambda record: videos[record].name))
    return Split(tuple(videos[record] for record in records), records, builder.as_data_source(split))


def _video(record: dict[str, Any], classes: int) -> Video:
    return Video(
        name=record["name"].decode("utf-8"),
        num_snippets=int(record["num_snippets"]),
        duration=float(record["duration"]),
        labels=np.isin(np.arange(classes), record["labels"]),
        segments=record["segments"],
        segment_labels=record["segment_labels"].astype(np.int64),
    )
