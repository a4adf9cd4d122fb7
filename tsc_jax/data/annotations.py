"""Reads annotations of untrimmed videos: ActivityNet's JSON form, and a folder of .npy files.

Both readers return one `SourceVideo` without features per video, in the order of the file. What is wrong with a video
is one of its `faults`, so that it can be ignored where the video is not used; faulty pieces are left out.

`refuse` receives every other error. By default it raises the error; if it returns, the reader continues.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tsc_jax.data.names import as_name
from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import SourceVideo
from tsc_jax.errors import InputError, Refuse, attempt, stop

FIELDS, LISTS = ("videoname", "subset", "duration"), ("labels_all", "segments", "labels")  # columns of an .npy folder


def read_json(path: Path, refuse: Refuse = stop) -> list[SourceVideo]:
    """Reads {"database": {VIDEO: {"subset", "duration", "fps", "annotations": [{"segment", "label"}]}}}.

    Everything of a video is optional here. Times may be numbers or strings. The video-level labels are the classes of
    the segments. MMAction2 writes the videos without "database", and "duration_second"; frames per second may also be
    given as the number of frames. Raises InputError for a missing file, another form, or a repeated video.
    """
    content = load_json(path, refuse)
    database = content.get("database")
    if (
        database is None
        and content
        and all(isinstance(each, dict) and "annotations" in each for each in content.values())
    ):
        database = content
    if not isinstance(database, dict):
        raise InputError(f'{path}: has no object "database" of videos, expected ActivityNet\'s form')
    refuse_repeated(map(as_name, database), "video", path, refuse)
    return [_of_json(as_name(name), entry, f'{path}, video "{name}"') for name, entry in database.items()]


def _of_json(name: str, entry: Any, where: str) -> SourceVideo:
    faults = []
    try:
        instances = [(each["segment"], each["label"]) for each in entry.get("annotations") or ()]
    except (KeyError, TypeError, AttributeError):
        form = '{"subset": ..., "annotations": [{"segment": [s, e], "label": ...}]}'
        faults.append(InputError(f"{where}: expected {form}"))
        instances, entry = [], entry if isinstance(entry, dict) else {}
    duration, subset = entry.get("duration", entry.get("duration_second")), str(entry.get("subset") or "")
    video = as_video(name, instances, where, duration=duration, subset=subset, refuse=faults.append)
    return dataclasses.replace(video, fps=_fps(entry, video.duration), faults=tuple(faults))


def _fps(entry: dict, duration: float | None) -> float | None:
    """Returns the frames per second of an entry, by themselves or by the number of frames; None if unknown."""
    frames = next((entry[key] for key in ("frame", "frames", "duration_frame") if key in entry), None)
    for value, seconds in ((entry.get("fps"), 1.0), (frames, duration)):
        try:
            if seconds and 0 < float(value) / seconds < np.inf:
                return float(value) / seconds
        except (TypeError, ValueError):
            pass
    return None


def read_npy_folder(folder: Path, refuse: Refuse = stop) -> list[SourceVideo]:
    """Reads videoname, subset, duration, labels, labels_all and segments (.npy) of a NAME-Annotations folder.

    The video-level labels are labels_all, which may differ from the classes of the segments.
    Raises InputError for a missing or damaged file, or files of different lengths.
    """
    videos = []
    for name, subset, duration, labels, segments, segment_labels in zip(*_read_columns(folder, refuse), strict=True):
        faults, where = [], f'{folder}, video "{as_text(name)}"'
        instances = list(zip(segments, segment_labels, strict=False))
        if len(segments) != len(segment_labels):
            faults.append(InputError(f"{where}: {len(segments)} segments but {len(segment_labels)} segment labels"))
            instances = []
        video = as_video(as_name(as_text(name)), instances, where, labels, duration, as_text(subset), faults.append)
        videos.append(dataclasses.replace(video, faults=tuple(faults)))
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
    """Reads the lines of a text file in the form of `as_name`; raises InputError if it is missing or not text."""
    return [as_name(line) for line in _read_text(path).splitlines()]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
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
