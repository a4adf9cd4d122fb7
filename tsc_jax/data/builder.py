"""Writes a `Source` to disk as a TensorFlow-Datasets (TFDS) data set, the only form that training and evaluation read.

A data set is in wtal/NAME/VERSION under the data directory, as array_record files, which need no TensorFlow.
"""

import contextlib
import dataclasses
import errno
import functools
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
import tqdm

from tsc_jax.data.checks import check_source
from tsc_jax.data.features import check_features
from tsc_jax.data.index import entry_of, seal
from tsc_jax.data.scratch import ends_on_sigterm, scratch_folder
from tsc_jax.data.source import DURATION, SPLITS, Source, SourceVideo
from tsc_jax.data.watch import PLANS, watch_source
from tsc_jax.errors import InputError
from tsc_jax.files import local_path
from tsc_jax.settings import is_number

VIDEOS_PER_FILE = 512
_VERSION = "1.0.0"


@dataclasses.dataclass(frozen=True)
class WtalConfig:
    """The name of a data set and what the program knows about it; None where its files must give the value."""

    name: str
    subsets: tuple[str, str] | None = None  # names of its training and test subsets in the annotations
    classes: tuple[str, ...] | None = None  # in the order of their indices
    snippets_per_second: float | None = None  # rate of its snippet features
    read_embedded: Callable[[], Source] | None = None  # returns a data set that needs no files from the user


def _published(name: str, train: str, test: str) -> WtalConfig:
    """Describes a public benchmark with I3D features of 16-frame snippets at 25 frames per second."""
    listed = resources.files("tsc_jax.data").joinpath("classes", f"{name}.txt").read_text(encoding="utf-8")
    return WtalConfig(name=name, subsets=(train, test), classes=tuple(listed.splitlines()), snippets_per_second=25 / 16)


_CONFIGS = (
    _published("thumos14", "validation", "test"),
    _published("activitynet12", "training", "validation"),
    _published("activitynet13", "training", "validation"),
    *(WtalConfig(name=name, read_embedded=functools.partial(watch_source, plan)) for name, plan in PLANS.items()),
)


def config_of(name: str) -> WtalConfig:
    """Returns what is known about the data set `name`: nothing, unless it is a published or embedded one."""
    return next((known for known in _CONFIGS if known.name == name), WtalConfig(name=name))


def with_known(source: Source, known: WtalConfig) -> Source:
    """Takes the classes of a published data set, and its rate if the files give none."""
    own = all(video.snippets_per_second is not None for split in SPLITS for video in source.splits[split])
    if source.snippets_per_second is None and not own:
        source = dataclasses.replace(source, snippets_per_second=known.snippets_per_second)
    if not known.classes:
        return source
    origins = {**source.origins, "classes": f"the published class list of {known.name}"}
    return dataclasses.replace(source, classes=known.classes, origins=origins)


def prepared_folder(data_dir: str | os.PathLike, name: str) -> Path:
    """Returns the folder of data set `name`, which need not exist; raises InputError for an invalid name."""
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise InputError(f"--name {name!r} is not a name: expected letters, digits, dots, dashes and underscores")
    data_dir = local_path(data_dir, "--data_dir ")
    earlier = Path(data_dir, name, _VERSION)  # where former versions put the embedded data set
    if config_of(name).read_embedded and earlier.exists():
        return earlier
    return Path(data_dir, "wtal", name, _VERSION)


def prepare(read_source: Callable[[], Source], name: str, data_dir: str | os.PathLike, overwrite: bool = False) -> bool:
    """Writes the data set `name` unless it exists, or anew with `overwrite`; returns whether it was written.

    Calls `read_source` only if it must write. An existing data set stays in place until the new one is complete.
    Raises InputError if the source is invalid.
    """
    target = prepared_folder(data_dir, name)
    if target.exists() and not overwrite:
        return False
    known = config_of(name)
    source = with_known(read_source(), known)
    check_source(source)
    data_dir = local_path(data_dir)
    Path(data_dir).mkdir(parents=True, exist_ok=True)
    with ends_on_sigterm(), scratch_folder(Path(data_dir)) as scratch, writes_into(target):
        written = scratch / _VERSION
        written.mkdir()
        _write(source, name, written)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(scratch / "replaced")
        shutil.move(written, target)
    return True


def _write(source: Source, name: str, folder: Path) -> None:
    """Writes one record per video, sorted by name; classes, rate, width, fingerprint and index are the metadata."""
    videos = {split: sorted(source.splits[split], key=lambda video: video.name) for split in SPLITS}
    width = _features(videos["train"][0]).shape[1]
    identity = tfds.core.DatasetIdentity("wtal", tfds.core.Version(_VERSION), str(folder), __name__, name)
    info = tfds.core.DatasetInfo(
        builder=identity,
        description="Snippet features of untrimmed videos with video-level labels and action segments.",
        features=_record_type(width),
        metadata=tfds.core.MetadataDict(classes=list(source.classes), width=width, extractor=source.extractor),
        disable_shuffling=True,
    )
    writer = tfds.core.SequentialWriter(info, VIDEOS_PER_FILE, file_format="array_record")
    writer.initialize_splits(list(SPLITS))
    index, digests = {split: [] for split in SPLITS}, [hashlib.sha256() for _ in SPLITS]
    for (split, entries), digest in zip(index.items(), digests, strict=True):
        # One at a time: nothing but the index stays in memory.
        bar = tqdm.tqdm(videos[split], split, unit="video", disable=None)
        writer.add_examples({split: _records(source, bar, width, entries, digest)})
    shared, rates = (
        source.snippets_per_second,
        {entry["snippets_per_second"] for split in SPLITS for entry in index[split]},
    )
    about = json.dumps([source.classes, float(shared) if is_number(shared) else shared])
    fingerprint = hashlib.sha256(" ".join([about, *(each.hexdigest() for each in digests)]).encode()).hexdigest()
    info.metadata.update(
        snippets_per_second=rates.pop() if len(rates) == 1 else None,  # None: every video has a rate of its own
        fingerprint=fingerprint,
        index=index,
        index_seal=seal(index, fingerprint),
    )
    writer.close_all()


def _record_type(width: int) -> tfds.features.FeaturesDict:
    # As bytes, because TFDS otherwise rounds float64 to float32, and writes float32 ten times slower.
    exact = functools.partial(tfds.features.Tensor, encoding=tfds.features.Encoding.BYTES)
    return tfds.features.FeaturesDict(
        {
            "name": tfds.features.Text(),
            "num_snippets": np.int64,
            "duration": exact(shape=(), dtype=np.float64),
            "snippets_per_second": exact(shape=(), dtype=np.float64),
            "offset": exact(shape=(), dtype=np.float64),
            "labels": tfds.features.Tensor(shape=(None,), dtype=np.int32),
            "segments": exact(shape=(None, 2), dtype=np.float64),
            "segment_labels": tfds.features.Tensor(shape=(None,), dtype=np.int32),
            "features": exact(shape=(None, width), dtype=np.float32),
        }
    )


def _records(
    source: Source, videos: Iterable[SourceVideo], width: int, entries: list[dict], digest: Any
) -> Iterator[dict[str, Any]]:
    """Yields the record of each video; adds its entry of the index to `entries`, and all that it holds to `digest`."""
    place_of = {name: place for place, name in enumerate(source.classes)}
    shared = source.snippets_per_second
    for video in videos:
        features = _features(video)
        if features.shape[1] != width:
            raise InputError(f"{_origin(video)}: features have width {features.shape[1]}, others have {width}")
        rate = rate_of(video, len(features), shared)
        duration = video.offset + len(features) / rate if video.duration is None else video.duration
        facts = (video.name, duration, sorted(video.labels), video.segments, video.segment_labels)
        clock = () if (rate, video.offset) == (shared, 0.0) else (rate, video.offset)
        digest.update(json.dumps([*facts, features.shape, *clock]).encode())
        digest.update(features.tobytes())
        record = {
            "name": video.name,
            "num_snippets": len(features),
            "duration": np.float64(duration),
            "snippets_per_second": np.float64(rate),
            "offset": np.float64(video.offset),
            "labels": np.array(sorted(place_of[label] for label in video.labels), np.int32),
            "segments": np.array(video.segments, np.float64).reshape(-1, 2),
            "segment_labels": np.array([place_of[label] for label in video.segment_labels], np.int32),
        }
        entries.append(entry_of(record))
        yield record | {"features": features}


@contextlib.contextmanager
def writes_into(target: Path) -> Iterator[None]:
    """Turns an error of writing, also one of array_record, into an InputError that names the data set."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        known = [
            text for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) if (text := os.strerror(number)) in reason
        ]
        if isinstance(error, RuntimeError) and not known:
            raise
        raise InputError(f"{target}: cannot be written ({(known or [reason])[0]})") from error


def rate_of(video: SourceVideo, num_snippets: int, shared: float | str | None) -> float:
    """Returns the snippets per second of a video of T snippets; `shared` is the rate of its data set, or DURATION."""
    if video.snippets_per_second is not None:
        return float(video.snippets_per_second)
    return num_snippets / video.duration if shared == DURATION else float(shared)


def _origin(video: SourceVideo) -> str:
    return video.origin or f'video "{video.name}"'


def _features(video: SourceVideo) -> np.ndarray:
    return check_features(video.read_features(), _origin(video))
