"""Implements launch.predict: reads feature files and videos, localizes their actions, writes the results.

An input that cannot be used becomes a sentence; it does not stop the others.
"""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tqdm

from tsc_jax.api import Localizer
from tsc_jax.data import annotations
from tsc_jax.data.feature_files import SUFFIXES
from tsc_jax.data.feature_inputs import Features, features_in, is_features
from tsc_jax.data.names import as_name
from tsc_jax.data.source import sound
from tsc_jax.errors import InputError, InputWarning, stop
from tsc_jax.evaluation.evaluate import Localized
from tsc_jax.localization.segments import Segments, make_segments
from tsc_jax.report.timelines import VideoTimeline, write_timelines
from tsc_jax.video import decode, extract
from tsc_jax.video.frames import FrameFolder
from tsc_jax.video.inputs import Video, files_in, is_video, videos_in

THUMBNAILS = 24  # per video, at most


@dataclasses.dataclass(frozen=True)
class Input:
    """A video in which to find actions."""

    name: str  # of the file, without suffix
    num_snippets: int  # T
    duration: float  # in seconds
    read: Callable[[], np.ndarray]  # returns the checked features, float32 [T, D]
    thumbnails: Callable[[], Sequence[tuple[float, bytes]]] = tuple  # seconds and JPEGs; none for a file of features


def find_files(
    paths: Sequence[str], frames_per_second: float | None = None
) -> tuple[list[Video | Features], list[str]]:
    """Lists videos, feature files, and those in folders and below them, in the given order, a folder's by name.

    RGB and flow of a video, in folders rgb/ and flow/, are one input. The names of all inputs differ. The second list
    has one sentence per path that cannot be used. `frames_per_second` is that of folders of frames.
    """
    files, failures = {}, []
    for path in map(Path, paths):
        for file in _attempt(failures, lambda path: _files(path, frames_per_second), path) or ():
            if (first := files.setdefault(file.stem, file)) is not file:
                failures.append(f'{file}: the video "{file.stem}" was already given as {first}')
    return list(files.values()), failures


def open_inputs(
    files: Sequence[Video | Features], localizer: Localizer, dtype: str | None = None
) -> tuple[list[Input], list[str]]:
    """Opens feature files and videos as inputs of a localizer; one sentence per file that cannot be used.

    `dtype` is that of the network that extracts features of videos; None: that of the training videos. A video cannot
    be used if the network was trained on features of another extractor; warns where its extractor is unknown.
    """
    # Both are made when the first video comes.
    choose = functools.cache(lambda: choose_dtype(localizer, dtype))
    extractor = functools.cache(lambda: extract.make_extractor(choose()))

    def open_input(path: Video | Features) -> Input:
        if isinstance(path, FrameFolder) or (isinstance(path, Path) and not is_features(path)):
            return _open_video(path, localizer, choose, extractor)
        features = features_in(path)[0] if isinstance(path, Path) else path

        def read() -> np.ndarray:
            return localizer.check(features.read(), str(features))

        length = len(read())
        return Input(features.stem, length, localizer.clock.seconds(length), read)

    failures, shown = [], tqdm.tqdm(files, "reading", unit="video", disable=None)
    inputs = [_attempt(failures, open_input, file) for file in shown]
    return [each for each in inputs if each is not None], failures


def _attempt(failures: list[str], read: Callable[[Any], Any], path: Any) -> Any:
    """Returns what `read` returns of the path; after an error None, with its sentence in `failures`."""
    try:
        return read(path)
    except (InputError, OSError) as error:
        failures.append(str(error) if isinstance(error, InputError) else f"{path}: {error.strerror or error}")


def _files(path: Path, frames_per_second: float | None) -> list[Video | Features]:
    """Returns a video itself, the features in a file, or the features, videos or frames in a folder.

    A folder holds either features or videos. Beside videos, .csv files are left out, because tables lie there too.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if not path.is_dir() and not is_features(path):
        return [path]
    if not path.is_dir():
        return features_in(path)
    files = files_in(path)
    features = [file for file in files if is_features(file) and file.suffix.lower() != ".csv"]
    videos = [file for file in files if is_video(file)]
    if features and videos:
        raise InputError(
            f"{path}: holds features ({features[0].name}) and videos ({videos[0].name}), expected a folder of one kind"
        )
    found = ([] if videos else features_in(path)) or videos_in(path, frames_per_second)
    if not found:
        raise InputError(f"{path}: this folder has no videos, no frames and no {', '.join(SUFFIXES)} files")
    return found


def choose_dtype(localizer: Localizer, dtype: str | None = None) -> str:
    """Returns the type of the extractor for videos; raises InputError if the network was trained on another one's."""
    known, run = localizer.extractor, localizer.directory
    if not known:
        sentence = f"{run}: does not say which extractor made its features; results are wrong unless it was"
        warnings.warn(InputWarning(f"{sentence} {extract.NAME!r}, which is used for videos"), stacklevel=2)
        return dtype or extract.DTYPES[0]
    known = known if isinstance(known, dict) else {"name": known}
    dtype = dtype or (known.get("dtype") if known.get("dtype") in extract.DTYPES else extract.DTYPES[0])
    for key, value in extract.account(dtype).items():
        if known.get(key, None if key == "name" else value) != value:
            raise InputError(
                f"{run} was trained on features of an extractor with {key} {known.get(key)!r}, but videos give those of"
                f" one with {key} {value!r}; expected files of features"
            )
    return dtype


def _open_video(
    path: Video, localizer: Localizer, choose: Callable[[], str], extractor: Callable[[], Callable[..., np.ndarray]]
) -> Input:
    width, rate = extract.WIDTH, extract.SNIPPETS_PER_SECOND
    if (localizer.width, localizer.snippets_per_second) != (width, rate):
        raise InputError(
            f"{path}: is none of {', '.join(SUFFIXES)}, so it was taken for a video; videos give features of width"
            f" {width} at {rate:g} snippets per second, but {localizer.directory} expects width {localizer.width}"
            f" at {localizer.snippets_per_second:g} per second"
        )
    try:
        choose()
    except InputError as error:
        raise InputError(f"{path}: is a video, but {error}") from None
    with tqdm.tqdm(total=extract.expected_snippets([path]), unit="snippet", desc=path.stem, disable=None) as bar:
        features = localizer.check(extractor()(path, bar.update), str(path))
    duration = localizer.clock.seconds(len(features))

    def thumbnails() -> list[tuple[float, bytes]]:
        try:
            # The end of a video that is shorter than a snippet has no features.
            return [each for each in decode.thumbnails(path, THUMBNAILS) if each[0] < duration]
        except (InputError, OSError):
            return []  # from a video that does not allow seeking, which extraction does not need

    return Input(path.stem, len(features), duration, lambda: features, thumbnails)


def find_actions(inputs: Sequence[Input], localizer: Localizer, min_score: float | None = None) -> Localized:
    """Localizes the actions in one or more inputs; drops segments that score less than `min_score`."""
    names, lengths = [each.name for each in inputs], [each.num_snippets for each in inputs]
    localized = localizer.localize_videos(names, lengths, lambda index: inputs[index].read(), "localizing")
    kept = localized.segments.score >= (-np.inf if min_score is None else min_score)
    return localized._replace(segments=localized.segments[kept])


def read_truth(path: Path, classes: Sequence[str], names: Iterable[str]) -> dict[str, Segments]:
    """Reads ground truth in ActivityNet's form, in seconds, for those of the videos `names` that the file annotates.

    Raises InputError for an invalid file, or if one of these videos has a label that is not among `classes`.
    """
    index, truth, names = {label: i for i, label in enumerate(classes)}, {}, {as_name(name): name for name in names}
    for video in sound((video for video in annotations.read_json(path) if video.name in names), stop):
        if unknown := [label for label in video.segment_labels if label not in index]:
            raise InputError(f'{path}, video "{video.name}": the checkpoint has no class "{unknown[0]}"')
        labels = [index[label] for label in video.segment_labels]
        truth[names[video.name]] = make_segments(0, labels, *np.reshape(video.segments, (-1, 2)).T)
    return truth


def written(flag: Any, write: Callable[[Path], None]) -> list[str]:
    """Writes the file that an absl flag names, if it is given; returns a sentence if it cannot be written."""
    try:
        if flag.value is not None:
            write(Path(flag.value))
    except InputError as error:
        return [f"--{flag.name} {error}"]
    return []


def write_report(
    path: Path, inputs: Sequence[Input], localized: Localized, truth: Mapping[str, Segments], localizer: Localizer
) -> None:
    """Writes an HTML page with one timeline per video."""
    videos = []
    for index, (video, outputs) in enumerate(zip(inputs, localized.outputs, strict=True)):
        true = truth.get(video.name)
        duration = video.duration if true is None else max(video.duration, true.end.max(initial=0))
        curves, predictions = (outputs["cas"], outputs["attention"]), localized.segments.of_video(index)
        videos.append(VideoTimeline(video.name, duration, predictions, true, *curves, video.thumbnails()))
    trained = localizer.trained
    title = f"{localizer.directory.resolve().name}: {trained.selection}, step {trained.step}"
    write_timelines(path, title, localizer.classes, localizer.clock, videos)
