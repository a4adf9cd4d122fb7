"""Writes a `Source` to disk as a TensorFlow-Datasets data set: the only form that training and evaluation read.

Under the data directory lies wtal/NAME/VERSION, or watch_sessions/VERSION for the data set
with a builder of its own. The files are array_record, the format that needs no TensorFlow.
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
import tqdm

from tsc_jax.data.checks import check_source
from tsc_jax.data.features import check_features
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError

WATCH_SESSIONS = "watch_sessions"


@dataclasses.dataclass(eq=False)
class WtalConfig(tfds.core.BuilderConfig):
    """A data set by name, with what is known of it beforehand; None where its files must say it.

    Attributes:
      subsets: what its annotations call the videos to train and to test on.
      classes: in the order of their indices.
      snippets_per_second: rate of its snippet features.
    """

    subsets: tuple[str, str] | None = None
    classes: tuple[str, ...] | None = None
    snippets_per_second: float | None = None


def _published(name: str, train: str, test: str) -> WtalConfig:
    """A public benchmark, with I3D features of 16-frame snippets at 25 frames a second."""
    listed = resources.files("tsc_jax.data").joinpath("classes", f"{name}.txt").read_text(encoding="utf-8")
    return WtalConfig(name=name, subsets=(train, test), classes=tuple(listed.splitlines()), snippets_per_second=25 / 16)


class _Info(tfds.core.DatasetInfo):
    """Without a look into TFDS's public bucket, for which it would leave a temporary folder behind."""

    def initialize_from_bucket(self) -> None:
        """Nothing is known beforehand."""


class SourceBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes one record per video of a checked source, and what they share as metadata."""

    VERSION = tfds.core.Version("1.0.0")
    # Else TFDS looks beside this file for the checksums of downloads, by a package that it does not require.
    code_path = None

    def __init__(self, source: Source, **kwargs: Any):
        self._source = source
        self._digests = {split: hashlib.sha256() for split in SPLITS}
        self._width = _features(_by_name(source, "train")[0]).shape[1]
        super().__init__(file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        # As bytes, because TFDS otherwise rounds float64 to float32, and writes float32 ten times slower.
        exact = functools.partial(tfds.features.Tensor, encoding=tfds.features.Encoding.BYTES)
        return _Info(
            builder=self,
            description="Snippet features of untrimmed videos with video-level labels and action segments.",
            features=tfds.features.FeaturesDict(
                {
                    "name": tfds.features.Text(),
                    "num_snippets": np.int64,
                    "duration": exact(shape=(), dtype=np.float64),
                    "labels": tfds.features.Tensor(shape=(None,), dtype=np.int32),
                    "segments": exact(shape=(None, 2), dtype=np.float64),
                    "segment_labels": tfds.features.Tensor(shape=(None,), dtype=np.int32),
                    "features": exact(shape=(None, self._width), dtype=np.float32),
                }
            ),
            metadata=tfds.core.MetadataDict(
                classes=list(self._source.classes),
                snippets_per_second=float(self._source.snippets_per_second),
                width=self._width,
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict]]:
        index = {name: place for place, name in enumerate(self._source.classes)}
        rate = float(self._source.snippets_per_second)
        # On a terminal alone; TFDS's own bars, which are off, do not know how many videos there are.
        for video in tqdm.tqdm(_by_name(self._source, split), split, unit="video", disable=None):
            features = _features(video)
            if features.shape[1] != self._width:
                raise InputError(
                    f"{_origin(video)}: features have width {features.shape[1]}, others have {self._width}"
                )
            duration = len(features) / rate if video.duration is None else video.duration
            facts = (video.name, duration, sorted(video.labels), video.segments, video.segment_labels)
            self._digests[split].update(json.dumps([*facts, features.shape]).encode())
            self._digests[split].update(features.tobytes())
            yield (
                video.name,
                {
                    "name": video.name,
                    "num_snippets": len(features),
                    "duration": np.float64(duration),
                    "labels": np.array(sorted(index[label] for label in video.labels), np.int32),
                    "segments": np.array(video.segments, np.float64).reshape(-1, 2),
                    "segment_labels": np.array([index[label] for label in video.segment_labels], np.int32),
                    "features": features,
                },
            )
        if split == SPLITS[-1]:
            self.info.metadata.update(self._fingerprints())

    def _fingerprints(self) -> dict[str, str]:
        """What the training videos hold, and what the whole data set holds, as sha256."""
        shared = json.dumps([self._source.classes, float(self._source.snippets_per_second)])
        digests = [self._digests[split].hexdigest() for split in SPLITS]
        whole = hashlib.sha256(" ".join([shared, *digests]).encode())
        return {"train_fingerprint": digests[0], "fingerprint": whole.hexdigest()}


class Wtal(SourceBuilder):
    """Any data set of untrimmed videos; its configs are the names that it may go by."""

    BUILDER_CONFIGS = (
        _published("thumos14", "validation", "test"),
        _published("activitynet12", "training", "validation"),
        _published("activitynet13", "training", "validation"),
    )


class WatchSessions(SourceBuilder):
    """The embedded default; see tsc_jax.data.watch."""


def config_of(name: str) -> WtalConfig:
    """What is known of the data set `name` beforehand: nothing, unless it is a published one."""
    return Wtal.builder_configs.get(name) or WtalConfig(name=name)


def prepared_folder(data_dir: str | os.PathLike, name: str) -> Path:
    """Where the data set `name` lies once it is prepared.

    Raises:
      InputError: a name that could not be that of a folder.
    """
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise InputError(f"--name {name!r} is not a name: expected letters, digits, dots, dashes and underscores")
    group = Path(data_dir) if name == WATCH_SESSIONS else Path(data_dir, "wtal")
    return group / name / str(SourceBuilder.VERSION)


def prepare(read_source: Callable[[], Source], name: str, data_dir: str | os.PathLike, overwrite: bool = False) -> bool:
    """Writes the data set `name`, unless it is there; what is there stays until its successor is complete.

    Args:
      read_source: called if there is something to write.
      name: of the data set; a published one brings its classes, and its rate where the files have none.
      data_dir: holds all prepared data sets.
      overwrite: whether to write it anew.

    Returns:
      Whether it was written.

    Raises:
      InputError: whatever is wrong with the source.
    """
    target = prepared_folder(data_dir, name)
    if target.exists() and not overwrite:
        return False
    known = config_of(name)
    source = read_source()
    if known.classes is not None:
        source = dataclasses.replace(source, classes=known.classes)
    if source.snippets_per_second is None:
        source = dataclasses.replace(source, snippets_per_second=known.snippets_per_second)
    check_source(source)
    Path(data_dir).mkdir(parents=True, exist_ok=True)
    # All in a folder of its own, so that an error or Ctrl-C leaves nothing and a success shows at once.
    with tempfile.TemporaryDirectory(prefix="incomplete.", dir=data_dir) as scratch:
        if name == WATCH_SESSIONS:
            builder = WatchSessions(source, data_dir=scratch)
        else:
            builder = Wtal(source, data_dir=scratch, config=known)
        tfds.disable_progress_bar()
        with contextlib.redirect_stdout(io.StringIO()):  # where TFDS announces a download
            builder.download_and_prepare()
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(Path(scratch, "replaced"))
        shutil.move(prepared_folder(scratch, name), target)
    return True


def _by_name(source: Source, split: str) -> list[SourceVideo]:
    return sorted(source.splits[split], key=lambda video: video.name)


def _origin(video: SourceVideo) -> str:
    return video.origin or f'video "{video.name}"'


def _features(video: SourceVideo) -> np.ndarray:
    return check_features(video.read_features(), _origin(video))
