"""Annotations of untrimmed videos as they circulate: ActivityNet's JSON form and a folder of .npy files.

Both give one `Annotation` per video, in the order of the file; they are readable without features.

`refuse` receives whatever is wrong, and raises it unless told otherwise; where it returns, the
faulty piece is left out and reading goes on.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import SourceVideo
from tsc_jax.errors import InputError, Refuse, attempt, stop


@dataclasses.dataclass(frozen=True)
class Annotation:
    """What is known of one video.

    Attributes:
      name: unique in its file.
      subset: as the file calls it ("validation", "training", "train", ...).
      duration: in seconds; None where the file does not say.
      labels: the classes that occur in it, each once (video-level labels).
      segments: (start, end) of every action instance, in seconds.
      segment_labels: the class of each of those segments.
    """

    name: str
    subset: str
    duration: float | None
    labels: tuple[str, ...]
    segments: tuple[tuple[float, float], ...]
    segment_labels: tuple[str, ...]


def read_json(path: Path, refuse: Refuse = stop) -> list[Annotation]:
    """Reads {"database": {VIDEO: {"subset", "duration", "annotations": [{"segment", "label"}]}}}.

    Segments may be strings. The video-level labels are the classes of the segments.

    Raises:
      InputError: no such file, not of this form, a video twice, a segment that is none.
    """
    database = load_json(path, refuse).get("database")
    if not isinstance(database, dict):
        raise InputError(f'{path}: has no "database" of videos, as ActivityNet\'s form demands')
    return [_from_entry(name, entry, path, refuse) for name, entry in database.items()]


def _from_entry(name: str, entry: Any, path: Path, refuse: Refuse) -> Annotation:
    where = f'{path}, video "{name}"'
    try:
        instances = [(each["label"], each["segment"]) for each in entry["annotations"]]
        subset, duration = entry["subset"], entry.get("duration")
    except (KeyError, TypeError, AttributeError):
        form = '{"subset": ..., "annotations": [{"segment": [s, e], "label": ...}]}'
        refuse(InputError(f"{where}: expected {form}"))
        return Annotation(name, "", None, (), (), ())
    segments, labels = _instances((s for _, s in instances), (label for label, _ in instances), where, refuse)
    return Annotation(
        name=name,
        subset=str(subset),
        duration=None if duration is None else attempt(refuse, as_duration, duration, where),
        labels=tuple(dict.fromkeys(labels)),
        segments=segments,
        segment_labels=labels,
    )


def _instances(segments: Iterable, labels: Iterable, where: str, refuse: Refuse) -> tuple[tuple, tuple[str, ...]]:
    """The segments and their labels, without those that are none."""
    pairs = [
        (attempt(refuse, as_segment, segment, where), attempt(refuse, as_label, label, where))
        for segment, label in zip(segments, labels, strict=True)
    ]
    kept = [pair for pair in pairs if None not in pair]
    return tuple(segment for segment, _ in kept), tuple(label for _, label in kept)


def read_npy_folder(folder: Path, refuse: Refuse = stop) -> list[Annotation]:
    """Reads videoname, subset, duration, labels, labels_all and segments (.npy) of a NAME-Annotations folder.

    The video-level labels are labels_all, which need not agree with the classes of the segments.

    Raises:
      InputError: a missing or damaged file, files of different lengths, a video twice, a segment that is none.
    """
    annotations = [_from_row(row, folder, refuse) for row in zip(*_read_columns(folder, refuse), strict=True)]
    refuse_repeated((annotation.name for annotation in annotations), "video", folder / "videoname.npy", refuse)
    return annotations


def _read_columns(folder: Path, refuse: Refuse) -> list[np.ndarray]:
    """One value a video in each: its name, subset, duration, then the lists labels_all, segments and labels."""
    names, lists = ("videoname", "subset", "duration"), ("labels_all", "segments", "labels")
    columns, errors = {}, []
    for field in (*names, *lists):
        columns[field] = attempt(errors.append, load_npy, folder / f"{field}.npy")
    if errors:
        for error in errors[:-1]:
            refuse(error)
        raise errors[-1]
    columns["duration"] = columns["duration"].reshape(-1)  # [V] or [V, 1]
    number = len(columns["duration"])
    for field, column in columns.items():
        if column.shape[:1] != (number,):
            raise InputError(
                f"{folder / field}.npy: holds shape {column.shape}, but duration.npy speaks of {number} videos"
            )
    for field in lists:
        for each in columns[field]:
            if not isinstance(each, list | tuple | np.ndarray):
                raise InputError(f"{folder / field}.npy: holds {each!r}, expected a list for every video")
    return list(columns.values())


def _from_row(row: tuple, folder: Path, refuse: Refuse) -> Annotation:
    name, subset, duration, labels, segments, segment_labels = row
    name = as_text(name)
    where = f'{folder}, video "{name}"'
    if len(segments) != len(segment_labels):
        refuse(InputError(f"{where}: {len(segments)} segments but {len(segment_labels)} labels of segments"))
        segments = segment_labels = ()
    segments, segment_labels = _instances(segments, segment_labels, where, refuse)
    return Annotation(
        name=name,
        subset=as_text(subset),
        duration=attempt(refuse, as_duration, duration, where),
        labels=tuple(dict.fromkeys(attempt(refuse, as_labels, labels, where) or ())),
        segments=segments,
        segment_labels=segment_labels,
    )


def read_classes(path: Path, refuse: Refuse = stop) -> tuple[str, ...]:
    """The classes of a classlist.npy, in its order."""
    classes = as_labels(load_npy(path).reshape(-1), path)
    refuse_repeated(classes, "class", path, refuse)
    return tuple(dict.fromkeys(classes))


def load_json(path: Path, refuse: Refuse = stop) -> dict:
    """A JSON object; a key that stands in it twice is an error, not a silent loss.

    Raises:
      InputError: no such file, not JSON, not an object, a repeated key.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict:
        refuse_repeated((key for key, _ in pairs), "key", path, refuse)
        return dict(pairs)

    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected a JSON object")
    return content


def refuse_repeated(names: Iterable[str], what: str, where: object, refuse: Refuse = stop) -> None:
    """Refuses each of `names` that occurs twice, the most frequent first."""
    for name, times in Counter(names).most_common():
        if times > 1:
            refuse(InputError(f'{where}: {what} "{name}" occurs {times} times, expected once', "repeated_names"))


def as_text(value: Any) -> str:
    """A str; byte strings, which Python 2 left behind, are decoded."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def as_labels(values: Iterable, where: object) -> tuple[str, ...]:
    """Class names, checked to be text."""
    return tuple(as_label(value, where) for value in values)


def as_label(value: Any, where: object) -> str:
    """A class name, checked to be text."""
    if not isinstance(value, str | bytes):
        raise InputError(f"{where}: label {value!r} is not a class name", "segments")
    return as_text(value)


def as_segment(value: Any, where: object) -> tuple[float, float]:
    """(start, end) in seconds from two numbers or strings; zero length is allowed, as public annotations hold some."""
    try:
        start, end = (float(time) for time in value)
    except (TypeError, ValueError):
        raise InputError(f"{where}: segment {value!r} is not a pair of times in seconds", "segments") from None
    if not np.isfinite([start, end]).all() or end < start:
        raise InputError(f"{where}: segment {value!r} is not finite or ends before it starts", "segments")
    return start, end


def as_duration(value: Any, where: object) -> float:
    """A length in seconds."""
    try:
        duration = float(value)
    except (TypeError, ValueError):
        duration = np.nan
    if not 0 < duration < np.inf:
        raise InputError(f"{where}: duration {value!r} is not a positive number of seconds", "durations")
    return duration


def with_features(annotation: Annotation, read_features: Callable[[], np.ndarray], origin: str) -> SourceVideo:
    """The video that an annotation describes; see `SourceVideo` for the other two."""
    return SourceVideo(
        name=annotation.name,
        duration=annotation.duration,
        labels=annotation.labels,
        segments=annotation.segments,
        segment_labels=annotation.segment_labels,
        read_features=read_features,
        origin=origin,
    )


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, stripped.

    Raises:
      InputError: no such file, or not text.
    """
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file") from None
