"""Implements launch.predict: reads feature files and videos, localizes their actions, writes the results.

An input that cannot be used becomes a sentence; it does not stop the others.
"""

import csv
import dataclasses
import functools
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tqdm

from tsc_jax.api import Localizer
from tsc_jax.data import annotations
from tsc_jax.data.dataset import unlabelled
from tsc_jax.data.pickles import load_npy
from tsc_jax.errors import InputError
from tsc_jax.localization.segments import Segments, make_segments
from tsc_jax.report.page import sayable

FEATURES = ".npy"
THUMBNAILS = 24  # per video, at most


@dataclasses.dataclass(frozen=True)
class Input:
    """A video in which to find actions.

    Attributes:
      name: file name without suffix.
      path: file of features, or of the video.
      num_snippets: T.
      duration: in seconds.
      read: returns the checked features, float32 [T, D].
      thumbnails: returns (seconds, JPEG) pairs; none for a file of features.
    """

    name: str
    path: Path
    num_snippets: int
    duration: float
    read: Callable[[], np.ndarray]
    thumbnails: Callable[[], Sequence[tuple[float, bytes]]] = tuple


@dataclasses.dataclass(frozen=True)
class Predictions:
    """The results for V videos.

    Attributes:
      inputs: V videos.
      segments: in seconds; `video` is an index into `inputs`.
      cas: fused class activations [T, C + 1] per video.
      attention: fused attention [T] per video.
    """

    inputs: Sequence[Input]
    segments: Segments
    cas: Sequence[np.ndarray]
    attention: Sequence[np.ndarray]

    def of_video(self, index: int) -> Segments:
        """Returns the segments of one video, best first; equal scores keep their order."""
        segments = self.segments[self.segments.video == index]
        return segments[np.argsort(-segments.score, kind="stable")]


def find_files(paths: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Lists the input files, whose names without suffix all differ.

    Args:
      paths: feature files, videos, and folders of feature files.

    Returns:
      The files in the given order, those of a folder sorted by name; one sentence per path that cannot be used.
    """
    files, failures = {}, []
    for path in map(Path, paths):
        try:
            for file in _files(path):
                if file.stem in files:
                    failures.append(f'{file}: the video "{file.stem}" was already given as {files[file.stem]}')
                files.setdefault(file.stem, file)
        except (InputError, OSError) as error:
            failures.append(_sentence(error, path))
    return list(files.values()), failures


def open_inputs(files: Sequence[Path], localizer: Localizer, dtype: str = "float32") -> tuple[list[Input], list[str]]:
    """Opens files as inputs of a localizer.

    Args:
      files: feature files and videos.
      localizer: must have the width and rate of the features.
      dtype: of the network that extracts features of videos; should be the one used for the training videos.

    Returns:
      The inputs in the order of `files`; one sentence per file that cannot be used.
    """
    extractor = functools.cache(functools.partial(_make_extractor, dtype))  # made when the first video comes
    inputs, failures = [], []
    for file in tqdm.tqdm(files, "reading", unit="video", disable=None):
        try:
            is_features = file.suffix.lower() == FEATURES
            inputs.append(_open_features(file, localizer) if is_features else _open_video(file, localizer, extractor))
        except (InputError, OSError) as error:
            failures.append(_sentence(error, file))
    return inputs, failures


def _files(path: Path) -> list[Path]:
    """Returns the file itself, or the feature files of a folder."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if not path.is_dir():
        return [path]
    files = sorted(each for each in path.iterdir() if each.suffix.lower() == FEATURES and not each.is_dir())
    if not files:
        raise InputError(f"{path}: this folder has no {FEATURES} files; name videos one by one")
    return files


def _sentence(error: InputError | OSError, path: Path) -> str:
    return str(error) if isinstance(error, InputError) else f"{path}: {error.strerror or error}"


def _open_features(path: Path, localizer: Localizer) -> Input:
    def read() -> np.ndarray:
        return localizer.check(load_npy(path), str(path))

    length = len(read())
    return Input(path.stem, path, length, length / localizer.snippets_per_second, read)


def _open_video(path: Path, localizer: Localizer, extractor: Callable[[], Callable[[Path], np.ndarray]]) -> Input:
    from tsc_jax.video.extract import SNIPPETS_PER_SECOND, WIDTH

    if (localizer.width, localizer.snippets_per_second) != (WIDTH, SNIPPETS_PER_SECOND):
        raise InputError(
            f"{path}: not a {FEATURES} file, so it was taken for a video; videos give features of width {WIDTH} at"
            f" {SNIPPETS_PER_SECOND:g} snippets per second, but {localizer.directory} expects width {localizer.width}"
            f" at {localizer.snippets_per_second:g} per second"
        )
    features = localizer.check(extractor()(path), str(path))
    duration = len(features) / localizer.snippets_per_second
    pictures = functools.partial(_thumbnails, path, duration)
    return Input(path.stem, path, len(features), duration, lambda: features, pictures)


def _make_extractor(dtype: str) -> Callable[[Path], np.ndarray]:
    from tsc_jax.video.extract import make_extractor

    return make_extractor(dtype)


def _thumbnails(path: Path, duration: float) -> list[tuple[float, bytes]]:
    """Returns pictures of the video, none if it does not allow seeking, which extraction does not need."""
    from tsc_jax.video import decode

    try:
        # The end of a video that is shorter than a snippet has no features.
        return [each for each in decode.thumbnails(path, THUMBNAILS) if each[0] < duration]
    except (InputError, OSError):
        return []


def find_actions(inputs: Sequence[Input], localizer: Localizer, min_score: float | None = None) -> Predictions:
    """Localizes the actions in one or more inputs; drops segments that score less than `min_score`."""
    names, lengths = [each.name for each in inputs], [each.num_snippets for each in inputs]
    rate = localizer.snippets_per_second
    split = unlabelled(names, lengths, lambda index: inputs[index].read(), len(localizer.classes), rate)
    localized = localizer.localize_split(split, "localizing")
    kept = localized.segments.score >= (-np.inf if min_score is None else min_score)
    curves = ([outputs[name] for outputs in localized.outputs] for name in ("cas", "attention"))
    return Predictions(inputs, localized.segments[kept], *curves)


def read_truth(path: Path, classes: Sequence[str], names: Iterable[str]) -> dict[str, Segments]:
    """Reads ground truth in seconds, per video, for those of the videos `names` that the file annotates.

    Args:
      path: annotations in ActivityNet's form.
      classes: names of the classes.
      names: of the videos.

    Raises:
      InputError: the file is missing or invalid, or one of these videos has a label that is not among `classes`.
    """
    index, truth, names = {label: i for i, label in enumerate(classes)}, {}, set(names)
    for video in annotations.read_json(path):
        if video.name not in names:
            continue
        for label in video.segment_labels:
            if label not in index:
                raise InputError(f'{path}, video "{video.name}": the checkpoint has no class "{label}"')
        labels = [index[label] for label in video.segment_labels]
        truth[video.name] = make_segments(0, labels, *np.reshape(video.segments, (-1, 2)).T)
    return truth


def as_table(predictions: Predictions, classes: Sequence[str], top: int) -> str:
    """Formats one line per video, followed by its `top` best segments: start, end, score and class."""
    lines = []
    for index, video in enumerate(predictions.inputs):
        segments = predictions.of_video(index)
        best = segments[:top]
        shown = "" if len(best) == len(segments) else f", best {len(best)} of {len(segments)} segments"
        lines.append(f"{video.name}   {clock(video.duration)}{shown if len(segments) else ', no segments'}")
        columns = (column.tolist() for column in (best.start, best.end, best.score, best.label))
        for start, end, score, label in zip(*columns, strict=True):
            lines.append(f"  {clock(start):>7} - {clock(end):>7}  {score:6.3f}  {classes[label]}")
    return "\n".join(lines)


def clock(seconds: float) -> str:
    """Formats minutes and seconds: 75.24 -> 1:15.2."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def as_csv(predictions: Predictions, classes: Sequence[str]) -> str:
    """Formats the rows video,label,start,end,score, one per segment, in seconds, best first in each video.

    A name that a spreadsheet would run as a formula gets an apostrophe in front. The JSON file has all names unchanged.
    """
    text = io.StringIO()
    # Quotes all names: the csv module does not quote a carriage return, which also ends a line.
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(["video", "label", "start", "end", "score"])
    labels = [_cell(name) for name in classes]
    for index, video in enumerate(predictions.inputs):
        segments = predictions.of_video(index)
        columns = (column.tolist() for column in (segments.label, segments.start, segments.end, segments.score))
        name = _cell(video.name)
        writer.writerows([name, labels[label], *rest] for label, *rest in zip(*columns, strict=True))
    return text.getvalue()


def _cell(name: str) -> str:
    """Formats a name as a cell; ids such as "-aB_3" are no formulas."""
    is_formula = name.startswith(("=", "+", "-", "@", "\t", "\r")) and not re.fullmatch(r"-[\w-]*", name)
    return sayable(f"'{name}" if is_formula else name)


def write_report(path: Path, predictions: Predictions, truth: Mapping[str, Segments], localizer: Localizer) -> None:
    """Writes an HTML page with one timeline per video."""
    from tsc_jax.report.timelines import VideoTimeline, write_timelines

    videos = []
    for index, video in enumerate(predictions.inputs):
        true = truth.get(video.name)
        videos.append(
            VideoTimeline(
                name=video.name,
                duration=video.duration if true is None else max(video.duration, true.end.max(initial=0)),
                predictions=predictions.of_video(index),
                truth=true,
                cas=predictions.cas[index],
                attention=predictions.attention[index],
                thumbnails=video.thumbnails(),
            )
        )
    title = f"{localizer.directory.resolve().name}: {localizer.selection}, step {localizer.step}"
    write_timelines(path, title, localizer.classes, localizer.snippets_per_second, videos)
