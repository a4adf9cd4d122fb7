"""How the snippets of videos lie in time: rates and offsets, from the forms in which people have them."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tsc_jax import settings
from tsc_jax.data.annotations import load_json
from tsc_jax.data.names import as_name
from tsc_jax.data.source import DURATION, SPLITS, Source, SourceVideo
from tsc_jax.errors import InputError

META, FPS = "meta.json", "fps_dict.json"
_BY_VIDEO = ("snippets_per_second", "offset_seconds", "fps")
_POSITIVE = settings.Rule(settings.POSITIVE.holds, "a positive number")


@dataclasses.dataclass(frozen=True)
class Timing:
    """What flags or meta.json say; None stands for nothing. A value with (V) may be an object of values by video.

    Either `snippets_per_second` is given, or the frames: a window of `num_frames` every `feat_stride` frames, of videos
    with `fps`; without it the annotations say it.
    """

    snippets_per_second: Any = None  # (V); "duration": the snippets of each video share its duration evenly
    offset_seconds: Any = None  # (V), when the first snippet starts; default: 0, or what the frames imply
    feat_stride: Any = None
    num_frames: Any = None  # default: feat_stride
    fps: Any = None  # (V)

    def check(self, prefix: str) -> None:
        """Raises InputError for a value that cannot be; `prefix` stands before its name in the message."""
        for name, value in vars(self).items():
            rule = settings.NUMBER if name == "offset_seconds" else _POSITIVE
            by_video = isinstance(value, Mapping) and name in _BY_VIDEO
            if value is None or (name, value) == ("snippets_per_second", DURATION):
                continue
            for each in value.values() if by_video else [value]:
                if not rule.holds(each):
                    raise InputError(f"{prefix}{name} is {each!r}, expected {rule.expected}", "no_rate")
        if self.feat_stride is None and self.num_frames is not None:
            raise InputError(f"{prefix}num_frames is given without feat_stride, the frames between snippets", "no_rate")
        if self.feat_stride is not None and self.snippets_per_second is not None:
            raise InputError(f"{prefix}feat_stride and snippets_per_second are given, expected one of them", "no_rate")

    def over(self, other: "Timing") -> "Timing":
        """Returns these values, and those of `other` where there are none; a rate replaces all of another rate."""
        mine = {name: value for name, value in vars(self).items() if value is not None}
        if "snippets_per_second" in mine or "feat_stride" in mine:
            other = dataclasses.replace(other, snippets_per_second=None, feat_stride=None, num_frames=None)
        return dataclasses.replace(other, **mine)


UNKNOWN = Timing()


def read_timing(directory: Path, meta: Mapping[str, Any]) -> Timing:
    """Returns what `meta`, the content of meta.json, and fps_dict.json say; raises InputError for an invalid value."""
    timing, file = as_timing(meta, str(directory / META)), directory / FPS
    return timing.over(as_timing({"fps": load_json(file)}, str(file))) if file.exists() else timing


def as_timing(meta: Mapping[str, Any], origin: str) -> Timing:
    """Returns what the fields of `Timing` in `meta` say; raises InputError for an invalid value."""
    values = {name: by_name(meta[name]) for name in Timing.__dataclass_fields__ if meta.get(name) is not None}
    timing = Timing(**values)
    timing.check(f"{origin}: ")
    return timing


def by_name(value: Any) -> Any:
    """Returns a value, or values by video with their names in one form."""
    return {as_name(key): each for key, each in value.items()} if isinstance(value, Mapping) else value


def with_timing(source: Source, timing: Timing) -> Source:
    """Gives every video its rate and offset; raises InputError if the fps of a video are missing."""
    shared = timing.snippets_per_second if not isinstance(timing.snippets_per_second, Mapping) else None
    splits = {split: tuple(_timed(video, timing) for video in source.splits[split]) for split in SPLITS}
    rates = {video.snippets_per_second for split in SPLITS for video in splits[split]}
    if len(rates) == 1 and None not in rates:  # one rate for all is that of the data set
        shared = rates.pop()
        splits = {
            split: tuple(dataclasses.replace(video, snippets_per_second=None) for video in splits[split])
            for split in SPLITS
        }
    return dataclasses.replace(source, snippets_per_second=shared, splits=splits)


def _timed(video: SourceVideo, timing: Timing) -> SourceVideo:
    rate, offset, fps = (_of(getattr(timing, name), video.name) for name in _BY_VIDEO)
    fps = fps or video.fps
    if timing.feat_stride is not None:
        if fps is None:
            raise InputError(f'video "{video.name}": its frames per second are unknown, give --fps', "no_rate")
        rate = fps / timing.feat_stride
        if offset is None:  # the middle of a window is the middle of its snippet
            offset = ((timing.num_frames or timing.feat_stride) - timing.feat_stride) / 2 / fps
    elif not isinstance(timing.snippets_per_second, Mapping):
        rate = None  # that of the data set
    elif rate is None:
        raise InputError(f'video "{video.name}": snippets_per_second has no value for it', "no_rate")
    return dataclasses.replace(video, fps=fps, snippets_per_second=rate, offset=offset or 0.0)


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else value
