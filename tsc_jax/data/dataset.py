"""Reads a prepared data set: what is known of its videos at once, features one video at a time."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from tsc_jax.data.builder import WATCH_SESSIONS, prepared_folder
from tsc_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Video:
    """What is known of one video.

    Attributes:
      name: unique in its data set.
      num_snippets: T.
      duration: in seconds.
      labels: bool [C], the classes that occur in it (video-level labels).
      segments: float64 [N, 2], start and end of every action instance, in seconds.
      segment_labels: int64 [N], their classes.
    """

    name: str
    num_snippets: int
    duration: float
    labels: np.ndarray
    segments: np.ndarray
    segment_labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Split:
    """Some videos of a data set, in the order of their names.

    Attributes:
      videos: what is known of each.
      records: int64, where each of them stands in `source`.
      source: the records on disk; reading them is safe from several threads.
    """

    videos: tuple[Video, ...]
    records: np.ndarray
    source: Sequence[dict[str, Any]]

    def features(self, index: int) -> np.ndarray:
        """The features of video `index`, float32 [T, D], read from disk."""
        return self.source[int(self.records[index])]["features"]

    def at_least(self, num_snippets: int) -> "Split":
        """The videos that have that many snippets or more."""
        return self.select([index for index, video in enumerate(self.videos) if video.num_snippets >= num_snippets])

    def select(self, indices: Sequence[int]) -> "Split":
        """The videos at `indices`, in that order."""
        videos = tuple(self.videos[index] for index in indices)
        return dataclasses.replace(self, videos=videos, records=self.records[np.asarray(indices, int)])

    def hold_out(self, share: float, seed: int) -> tuple["Split", "Split"]:
        """Draws `share` of the videos, and returns the others and those.

        A video stays with the others where a class of its would be left with fewer than two of them.
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
      train_fingerprint: sha256 of its training videos.
      train: the training videos.
      test: the test videos.
    """

    name: str
    classes: tuple[str, ...]
    snippets_per_second: float
    width: int
    fingerprint: str
    train_fingerprint: str
    train: Split
    test: Split


class _Features(Sequence):
    """Records of nothing but features, each read when it is asked for."""

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
    """Videos of which nothing is known but their features, in the order given.

    Args:
      names: of the videos.
      lengths: T of each, in snippets.
      read: the features of video `index`, float32 [T, D]; called when they are needed, maybe from another thread.
      num_classes: C.
      snippets_per_second: rate of the features; tells the durations.
    """
    nothing = (np.zeros(num_classes, bool), np.zeros((0, 2)), np.zeros(0, np.int64))
    videos = tuple(
        Video(name, int(length), length / snippets_per_second, *nothing)
        for name, length in zip(names, lengths, strict=True)
    )
    return Split(videos, np.arange(len(videos)), _Features(read, len(videos)))


def open_dataset(data_dir: str | os.PathLike, name: str) -> Dataset:
    """Opens the data set `name` that launch.prepare wrote into `data_dir`.

    Raises:
      InputError: it is not prepared, or damaged.
    """
    folder = prepared_folder(data_dir, name)
    if not folder.exists():
        layout = "" if name == WATCH_SESSIONS else " --layout per_video|joint --source DIR"
        raise InputError(
            f"{folder}: data set {name} is not prepared; run"
            f" python -m launch.prepare --name {name} --data_dir {data_dir}{layout}"
        )
    try:
        builder = tfds.builder_from_directory(folder)
        metadata = builder.info.metadata
        splits = {split: _open_split(builder, split, len(metadata["classes"])) for split in ("train", "test")}
        return Dataset(name=name, classes=tuple(metadata.pop("classes")), **metadata, **splits)
    # Damage shows in whichever file TFDS, protobuf or array_record stumble over.
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{folder}: the prepared data set is damaged ({reason}); prepare it with --overwrite"
        ) from error


def _open_split(builder: tfds.core.DatasetBuilder, split: str, classes: int) -> Split:
    # Records without their features decode at once; TFDS's own PartialDecoding needs TensorFlow.
    known = {name: feature for name, feature in builder.info.features.items() if name != "features"}
    decode = tfds.features.FeaturesDict(known).deserialize_example_np
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
