"""What launch.predict does: files in, segments out; a file that cannot be used does not stop the others."""

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
THUMBNAILS = 24  # of a video, at most


@dataclasses.dataclass(frozen=True)
class Input:
    """A video to find actions in.

    Attributes:
      name: of its file, without suffix.
      path: of its file.
      num_snippets: T.
      duration: in seconds.
      read: its features, checked, float32 [T, D].
      thumbnails: (seconds, JPEG) of frames, as far as it is a video that has such.
    """

    name: str
    path: Path
    num_snippets: int
    duration: float
    read: Callable[[], np.ndarray]
    thumbnails: Callable[[], Sequence[tuple[float, bytes]]] = tuple


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What was found in some videos.

    Attributes:
      inputs: the videos.
      segments: in seconds, `video` an index into them; in the order of `evaluate.localize`.
      cas: fused [T, C + 1] of each.
      attention: fused [T] of each.
    """

    inputs: Sequence[Input]
    segments: Segments
    cas: Sequence[np.ndarray]
    attention: Sequence[np.ndarray]

    def of_video(self, index: int) -> Segments:
        """The segments of one video, best first; of equal scores the first stays first."""
        found = self.segments[self.segments.video == index]
        return found[np.argsort(-found.score, kind="stable")]


def find_files(paths: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Feature files and videos, each of a name of its own.

    Args:
      paths: of such files, and of folders of feature files.

    Returns:
      The files in the order given, those of a folder by name; and a sentence on each path that is none.
    """
    files, failures = {}, []
    for path in map(Path, paths):
        try:
            found = _files(path)
        except (InputError, OSError) as error:
            failures.append(_sentence(error, path))
            continue
        for file in found:
            if file.stem in files:
                failures.append(f'{file}: a video "{file.stem}" is given already, {files[file.stem]}')
            files.setdefault(file.stem, file)
    return list(files.values()), failures


def open_inputs(files: Sequence[Path], localizer: Localizer, dtype: str = "float32") -> tuple[list[Input], list[str]]:
    """The inputs for `localizer`, in the order of `files`, and a sentence on each file that cannot be one.

    Args:
      files: of features, or videos.
      localizer: whose width and rate count.
      dtype: of the network that makes features of videos; that with which the training videos' were made.
    """
    inputs, failures = [], []
    for file in tqdm.tqdm(files, "reading", unit="video", disable=None):
        try:
            is_features = file.suffix.lower() == FEATURES
            inputs.append(_open_features(file, localizer) if is_features else _open_video(file, localizer, dtype))
        except (InputError, OSError) as error:
            failures.append(_sentence(error, file))
    return inputs, failures


def _files(path: Path) -> list[Path]:
    """The file itself, or the feature files of a folder."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if not path.is_dir():
        return [path]
    files = sorted(each for each in path.iterdir() if each.suffix.lower() == FEATURES and not each.is_dir())
    if not files:
        raise InputError(f"{path}: a folder without {FEATURES} files; videos are given one by one")
    return files


def _sentence(error: InputError | OSError, path: Path) -> str:
    return str(error) if isinstance(error, InputError) else f"{path}: {error.strerror or error}"


def _open_features(path: Path, localizer: Localizer) -> Input:
    def read() -> np.ndarray:
        return localizer.check(load_npy(path), str(path))

    length = len(read())
    return Input(path.stem, path, length, length / localizer.snippets_per_second, read)


def _open_video(path: Path, localizer: Localizer, dtype: str) -> Input:
    from tsc_jax.video.extract import SNIPPETS_PER_SECOND, WIDTH

    if (localizer.width, localizer.snippets_per_second) != (WIDTH, SNIPPETS_PER_SECOND):
        raise InputError(
            f"{path}: is no {FEATURES} file, so it is taken for a video, whose features have width {WIDTH} and"
            f" {SNIPPETS_PER_SECOND:g} snippets a second, but {localizer.directory} takes width {localizer.width} and"
            f" {localizer.snippets_per_second:g} a second"
        )
    features = localizer.check(_extractor(dtype)(path), str(path))
    duration = len(features) / localizer.snippets_per_second
    pictures = functools.partial(_thumbnails, path, duration)
    return Input(path.stem, path, len(features), duration, lambda: features, pictures)


def _thumbnails(path: Path, duration: float) -> list[tuple[float, bytes]]:
    """Those of the snippets; none where the video cannot be sought, which its features did not need."""
    from tsc_jax.video import decode

    try:
        # The last of a video is less than a snippet, and not looked at.
        return [each for each in decode.thumbnails(path, THUMBNAILS) if each[0] < duration]
    except (InputError, OSError):
        return []


@functools.cache
def _extractor(dtype: str) -> Callable[[Path], np.ndarray]:
    """The one of `launch.extract`; its weights are read when the first video comes."""
    from tsc_jax.video.extract import make_extractor

    return make_extractor(dtype)


def find_actions(inputs: Sequence[Input], localizer: Localizer, min_score: float | None = None) -> Predictions:
    """Localizes the actions in one input or more; segments that score less than `min_score` are left out."""
    names, lengths = [each.name for each in inputs], [each.num_snippets for each in inputs]
    rate = localizer.snippets_per_second
    split = unlabelled(names, lengths, lambda index: inputs[index].read(), len(localizer.classes), rate)
    localized = localizer.localize_split(split, "localizing")
    kept = localized.segments.score >= (-np.inf if min_score is None else min_score)
    curves = ([outputs[name] for outputs in localized.outputs] for name in ("cas", "attention"))
    return Predictions(inputs, localized.segments[kept], *curves)


def read_truth(path: Path, classes: Sequence[str], names: Iterable[str]) -> dict[str, Segments]:
    """Ground truth in seconds, by video, of those of `names` that a file in ActivityNet's form knows.

    Raises:
      InputError: not such a file, or a label of one of these videos that is not among `classes`.
    """
    index, truth, names = {label: i for i, label in enumerate(classes)}, {}, set(names)
    for each in annotations.read_json(path):
        if each.name not in names:
            continue
        for label in each.segment_labels:
            if label not in index:
                raise InputError(f'{path}, video "{each.name}": label "{label}" is none of the checkpoint\'s classes')
        labels = [index[label] for label in each.segment_labels]
        truth[each.name] = make_segments(0, labels, *np.reshape(each.segments, (-1, 2)).T)
    return truth


def as_table(found: Predictions, classes: Sequence[str], top: int) -> str:
    """For every video a line, then its `top` best segments: start, end, class and score."""
    lines = []
    for index, video in enumerate(found.inputs):
        segments = found.of_video(index)
        best = segments[:top]
        shown = "" if len(best) == len(segments) else f", best {len(best)} of {len(segments)} segments"
        lines.append(f"{video.name}   {clock(video.duration)}{shown or ', no segments' * (not len(segments))}")
        columns = (column.tolist() for column in (best.start, best.end, best.score, best.label))
        for start, end, score, label in zip(*columns, strict=True):
            lines.append(f"  {clock(start):>7} - {clock(end):>7}  {score:6.3f}  {classes[label]}")
    return "\n".join(lines)


def clock(seconds: float) -> str:
    """Minutes and seconds: 75.24 -> 1:15.2."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def as_csv(found: Predictions, classes: Sequence[str]) -> str:
    """video,label,start,end,score: a line for every segment, times in seconds, best first in every video.

    Names that a spreadsheet would run as a formula begin with an apostrophe; the JSON file has every name as it is.
    """
    text = io.StringIO()
    # All names are quoted, because the module leaves a name with a carriage return, which ends a line, as it is.
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(["video", "label", "start", "end", "score"])
    labels = [_cell(name) for name in classes]
    for index, video in enumerate(found.inputs):
        segments = found.of_video(index)
        columns = (column.tolist() for column in (segments.label, segments.start, segments.end, segments.score))
        name = _cell(video.name)
        writer.writerows([name, labels[label], *rest] for label, *rest in zip(*columns, strict=True))
    return text.getvalue()


def _cell(name: str) -> str:
    """A name as a cell of a table; "-aB_3" and the like, as ids begin, is harmless."""
    is_formula = name.startswith(("=", "+", "-", "@", "\t", "\r")) and not re.fullmatch(r"-[\w-]*", name)
    return sayable(f"'{name}" if is_formula else name)


def write_report(path: Path, found: Predictions, truth: Mapping[str, Segments], localizer: Localizer) -> None:
    """Writes the page with a timeline for each video."""
    from tsc_jax.report.timelines import VideoTimeline, write_timelines

    videos = []
    for index, video in enumerate(found.inputs):
        true = truth.get(video.name)
        videos.append(
            VideoTimeline(
                name=video.name,
                duration=video.duration if true is None else max(video.duration, true.end.max(initial=0)),
                predictions=found.of_video(index),
                truth=true,
                cas=found.cas[index],
                attention=found.attention[index],
                thumbnails=video.thumbnails(),
            )
        )
    title = f"{localizer.directory.resolve().name}: {localizer.selection}, step {localizer.step}"
    write_timelines(path, title, localizer.classes, localizer.snippets_per_second, videos)
