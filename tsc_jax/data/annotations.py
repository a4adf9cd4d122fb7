"""Reads annotations of untrimmed videos: ActivityNet's JSON form, and a folder of .npy files.

Both readers return one `SourceVideo` without features per video, in the order of the file.

`refuse` receives every error. By default it raises the error; if it returns, the reader leaves the faulty
piece out and continues.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import SourceVideo
from tsc_jax.errors import InputError, Refuse, attempt, stop

FIELDS, LISTS = ("videoname", "subset", "duration"), ("labels_all", "segments", "labels")  # columns of an .npy folder


def read_json(path: Path, refuse: Refuse = stop) -> list[SourceVideo]:
    """Reads {"database": {VIDEO: {"subset", "duration", "annotations": [{"segment", "label"}]}}}.

    Times may be numbers or strings. The video-level labels are the classes of the segments.
    Raises InputError for a missing file, another form, a repeated video or an invalid segment.
    """
    database = load_json(path, refuse).get("database")
    if not isinstance(database, dict):
        raise InputError(f'{path}: has no object "database" of videos, expected ActivityNet\'s form')
    videos = []
    for name, entry in database.items():
        where = f'{path}, video "{name}"'
        try:
            instances = [(each["segment"], each["label"]) for each in entry["annotations"]]
            duration, subset = entry.get("duration"), str(entry["subset"])
        except (KeyError, TypeError, AttributeError):
            form = '{"subset": ..., "annotations": [{"segment": [s, e], "label": ...}]}'
            refuse(InputError(f"{where}: expected {form}"))
            instances, duration, subset = [], None, ""
        videos.append(as_video(name, instances, where, duration=duration, subset=subset, refuse=refuse))
    return videos


def read_npy_folder(folder: Path, refuse: Refuse = stop) -> list[SourceVideo]:
    """Reads videoname, subset, duration, labels, labels_all and segments (.npy) of a NAME-Annotations folder.

    The video-level labels are labels_all, which may differ from the classes of the segments.
    Raises InputError for a missing or damaged file, files of different lengths, or an invalid segment.
    """
    videos = []
    for name, subset, duration, labels, segments, segment_labels in zip(*_read_columns(folder, refuse), strict=True):
        where = f'{folder}, video "{as_text(name)}"'
        instances = list(zip(segments, segment_labels, strict=False))
        if len(segments) != len(segment_labels):
            refuse(InputError(f"{where}: {len(segments)} segments but {len(segment_labels)} segment labels"))
            instances = []
        videos.append(as_video(as_text(name), instances, where, labels, duration, as_text(subset), refuse))
    return videos


def _read_columns(folder: Path, refuse: Refuse) -> list[np.ndarray]:
    """Returns the columns FIELDS and LISTS, each with one entry per video."""
    errors = []
    columns = {field: attempt(errors.append, load_npy, folder / f"{field}.npy") for field in (*FIELDS, *LISTS)}
    if errors:
        for error in errors[:-1]:
            refuse(error)
        raise errors[-1]
    columns["duration"] = columns["duration"].reshape(-1)  # [V] or [V, 1]
    number = len(columns["duration"])
    for field, column in columns.items():
        if column.shape[:1] != (number,):
            raise InputError(f"{folder / field}.npy: holds shape {column.shape}, but duration.npy has {number} videos")
        for each in column if field in LISTS else ():
            if not isinstance(each, list | tuple | np.ndarray):
                raise InputError(f"{folder / field}.npy: holds {each!r}, expected a list for every video")
    return list(columns.values())


def as_video(
    name: str,
    instances: Iterable[tuple],
    where: str,
    labels: Iterable | None = None,
    duration: Any = None,
    subset: str = "",
    refuse: Refuse = stop,
) -> SourceVideo:
    """Checks the annotations of a video; leaves invalid ones out if `refuse` returns.

    `instances` are pairs of a segment, (start, end) in seconds, and its class; `labels` None means their classes.
    `duration` is in seconds or None. `where` names the file and the video in messages.
    """
    pairs = [(attempt(refuse, as_segment, each, where), attempt(refuse, as_label, of, where)) for each, of in instances]
    pairs = [pair for pair in pairs if None not in pair]
    segment_labels = tuple(label for _, label in pairs)
    return SourceVideo(
        name=name,
        duration=None if duration is None else attempt(refuse, as_duration, duration, where),
        labels=tuple(
            dict.fromkeys(segment_labels if labels is None else attempt(refuse, as_labels, labels, where) or ())
        ),
        segments=tuple(segment for segment, _ in pairs),
        segment_labels=segment_labels,
        subset=subset,
    )


def read_classes(path: Path) -> tuple[str, ...]:
    """Reads the classes of a classlist.npy, in its order."""
    return as_labels(load_npy(path).reshape(-1), path)


def load_json(path: Path, refuse: Refuse = stop) -> dict:
    """Reads a JSON object and refuses repeated keys, which Python's reader would silently drop.

    Raises InputError for a missing file, or one that is not a JSON object.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict:
        refuse_repeated((key for key, _ in pairs), "key", path, refuse)
        return dict(pairs)

    try:
        content = json.loads(_read_text(path), object_pairs_hook=unique)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected a JSON object")
    return content


def read_lines(path: Path) -> list[str]:
    """Reads the stripped lines of a text file; raises InputError if it is missing or not text."""
    return [line.strip() for line in _read_text(path).splitlines()]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file, expected UTF-8") from None


def refuse_repeated(names: Iterable[str], what: str, where: object, refuse: Refuse = stop) -> None:
    """Refuses every name that occurs more than once, the most frequent first."""
    for name, times in Counter(names).most_common():
        if times > 1:
            refuse(InputError(f'{where}: {what} "{name}" occurs {times} times, expected once', "repeated_names"))


def as_text(value: Any) -> str:
    """Returns a str; decodes the byte strings that Python 2 wrote."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def as_labels(values: Iterable, where: object) -> tuple[str, ...]:
    """Returns class names; raises InputError if one is not text."""
    return tuple(as_label(value, where) for value in values)


def as_label(value: Any, where: object) -> str:
    """Returns a class name; raises InputError if it is not text."""
    if not isinstance(value, str | bytes):
        raise InputError(f"{where}: label {value!r} is not a class name", "segments")
    return as_text(value)


def as_segment(value: Any, where: object) -> tuple[float, float]:
    """Returns (start, end) in seconds of two numbers or strings; public annotations hold some of zero length."""
    try:
        start, end = (float(time) for time in value)
    except (TypeError, ValueError):
        raise InputError(f"{where}: segment {value!r} is not a pair of times in seconds", "segments") from None
    if not np.isfinite([start, end]).all() or end < start:
        raise InputError(f"{where}: segment {value!r} is not finite or ends before it starts", "segments")
    return start, end


def as_duration(value: Any, where: object) -> float:
    """Returns a positive number of seconds."""
    try:
        duration = float(value)
    except (TypeError, ValueError):
        duration = np.nan
    if not 0 < duration < np.inf:
        raise InputError(f"{where}: duration {value!r} is not a positive number of seconds", "durations")
    return duration
