"""The files of an evaluation: predictions and ground truth in ActivityNet's form, metrics and their table.

A results file is JSON of the form
{"version": ..., "results": {VIDEO: [{"label", "segment": [start, end], "score"}]}, "external_data": {}},
in seconds; `tsc_jax.data.annotations.read_json` describes the form of the ground truth.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import tsc_jax
from tsc_jax.data import annotations
from tsc_jax.errors import InputError
from tsc_jax.files import write_text
from tsc_jax.localization.segments import Segments, concatenate, make_segments

# First and last tIoU of the averages that papers report, THUMOS-14's two and ActivityNet's.
AVERAGES = {"0.1:0.5": (0.1, 0.5), "0.1:0.7": (0.1, 0.7), "0.5:0.95": (0.5, 0.95)}


@dataclasses.dataclass(frozen=True)
class GroundTruth:
    """Annotations of the V videos of one subset.

    Attributes:
      subset: its name in the file.
      videos: V names.
      classes: C sorted class names, of all subsets of the file.
      segments: in seconds; `video` and `label` are indices into the two above.
      durations: float64 [V], in seconds; NaN where the file gives none.
    """

    subset: str
    videos: tuple[str, ...]
    classes: tuple[str, ...]
    segments: Segments
    durations: np.ndarray


def read_ground_truth(path: Path, subset: str | None = None) -> GroundTruth:
    """Reads annotations in ActivityNet's form.

    Args:
      path: the file.
      subset: which videos to evaluate; None: "test" if the file has it, otherwise "validation".

    Raises:
      InputError: an invalid file, or one without this subset.
    """
    everything = annotations.read_json(path)
    subsets = sorted({each.subset for each in everything})
    candidates = ("test", "validation") if subset is None else (subset,)
    chosen = next((name for name in candidates if name in subsets), None)
    if chosen is None:
        raise InputError(f"{path}: has the subsets {subsets}, expected {' or '.join(candidates)} (--subset)")
    classes = tuple(sorted({label for each in everything for label in each.segment_labels}))
    index = {name: i for i, name in enumerate(classes)}
    videos = [each for each in everything if each.subset == chosen]
    segments = concatenate(
        make_segments(i, [index[label] for label in each.segment_labels], *np.reshape(each.segments, (-1, 2)).T)
        for i, each in enumerate(videos)
    )
    durations = np.array([np.nan if each.duration is None else each.duration for each in videos])
    return GroundTruth(chosen, tuple(each.name for each in videos), classes, segments, durations)


def read_predictions(path: Path, videos: Sequence[str], classes: Sequence[str]) -> tuple[Segments, tuple[str, ...]]:
    """Reads a results file; times and scores may be strings.

    Args:
      path: the file.
      videos: names of the videos to evaluate; predictions in other videos are skipped.
      classes: names of all classes.

    Returns:
      The predictions in seconds, in the order of the file, `video` and `label` indices into `videos` and `classes`; and
      the names of all videos in the file.

    Raises:
      InputError: an invalid file, an unknown label, or a time or score that is not finite.
    """
    results = annotations.load_json(path).get("results")
    if not isinstance(results, dict):
        raise InputError(f'{path}: has no object "results" of videos, expected ActivityNet\'s form')
    video_index = {name: i for i, name in enumerate(videos)}
    class_index = {name: i for i, name in enumerate(classes)}
    parts = []
    for name, entries in results.items():
        if name not in video_index:
            continue
        where = f'{path}, video "{name}"'
        try:
            labels = [class_index[entry["label"]] for entry in entries]
            numbers = [(*entry["segment"], entry["score"]) for entry in entries]
            start, end, score = np.asarray(numbers, np.float64).reshape(len(entries), 3).T
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(_what_is_wrong(where, error, entries, classes)) from None
        if not np.isfinite([start, end, score]).all() or (end < start).any():
            raise InputError(f"{where}: a prediction is not finite or ends before it starts")
        parts.append(make_segments(video_index[name], labels, start, end, score))
    return concatenate(parts), tuple(results)


def _what_is_wrong(where: str, error: Exception, entries: object, classes: Sequence[str]) -> str:
    if isinstance(error, KeyError) and error.args[0] not in ("label", "segment", "score"):
        return f'{where}: label "{error.args[0]}" is not among the {len(classes)} classes of the ground truth'
    return f'{where}: is {str(entries)[:60]}, expected a list of {{"label": ..., "segment": [s, e], "score": ...}}'


def write_predictions(path: Path, segments: Segments, videos: Sequence[str], classes: Sequence[str]) -> None:
    """Writes a results file; reading it gives exactly the same numbers.

    Args:
      path: of the file.
      segments: in seconds; `video` and `label` are indices into `videos` and `classes`.
      videos: names; the file also lists videos without predictions.
      classes: names.
    """
    results = {name: [] for name in videos}
    columns = (segments.video, segments.label, segments.start, segments.end, segments.score)
    for video, label, start, end, score in zip(*(column.tolist() for column in columns), strict=True):
        results[videos[video]].append({"label": classes[label], "segment": [start, end], "score": score})
    write_json(path, {"version": f"tsc_jax {tsc_jax.__version__}", "results": results, "external_data": {}})


def write_json(path: Path, content: Mapping) -> None:
    """Writes a JSON file whole, or not at all."""
    write_text(path, json.dumps(content, allow_nan=False) + "\n")


def make_metrics(
    protocol: str,
    tious: Sequence[float],
    mean_ap: np.ndarray,
    classification: float | None = None,
    step: int | None = None,
    selection: str | None = None,
) -> dict:
    """Returns the content of metrics.json.

    Args:
      protocol: one of `protocols.PROTOCOLS`.
      tious: thresholds.
      mean_ap: detection mAP at each threshold, in percent.
      classification: classification mAP, in percent.
      step: of the evaluated checkpoint.
      selection: how the checkpoint was selected, such as "last" or "best on test".
    """
    return {
        "protocol": protocol,
        "tiou": [float(tiou) for tiou in tious],
        "mAP": [float(value) for value in mean_ap],
        "average_mAP": averages(tious, mean_ap),
        "classification_mAP": classification,
        "step": step,
        "selection": selection,
    }


def averages(tious: Sequence[float], mean_ap: np.ndarray) -> dict[str, float]:
    """Returns mean mAP over each range of AVERAGES whose two ends were evaluated, and over "all" thresholds.

    Args:
      tious: the evaluated thresholds.
      mean_ap: [tIoUs], mAP at each threshold.
    """
    tious, mean_ap = np.asarray(tious), np.asarray(mean_ap)
    covered = {name: ends for name, ends in AVERAGES.items() if np.isin(ends, tious).all()} | {"all": (0, 1)}
    return {name: float(mean_ap[(low <= tious) & (tious <= high)].mean()) for name, (low, high) in covered.items()}


def table(
    tious: Sequence[float], rows: Mapping[str, np.ndarray], baseline: str | None = None, sample: Sequence[str] = ()
) -> str:
    """Formats mAP at each threshold and its `averages` as a table for the terminal.

    Args:
      tious: thresholds.
      rows: name of each row and its mAP at each threshold, in percent.
      baseline: name of a row; a last column gives the difference in the average "all" of each other row to it.
      sample: names of rows; two more rows give the mean and standard deviation of their columns.
    """
    values = {name: np.array([*mean_ap, *averages(tious, mean_ap).values()]) for name, mean_ap in rows.items()}
    if sample:
        of_sample = [values[name] for name in sample]
        values |= {"mean": np.mean(of_sample, axis=0), "standard deviation": np.std(of_sample, axis=0, ddof=1)}
    lines = [["mAP (%) at tIoU", *(f"{tiou:g}" for tiou in tious), *averages(tious, np.zeros(len(tious)))]]
    lines += [[name, *(f"{value:.1f}" for value in row)] for name, row in values.items()]
    if baseline is not None:
        changes = {name: row[-1] - values[baseline][-1] for name, row in values.items()}
        cells = ("" if name == baseline else f"{change:+.2f}" for name, change in changes.items())
        lines = [[*line, cell] for line, cell in zip(lines, (f"vs {baseline}", *cells), strict=True)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines]
    return "\n".join([aligned[0], "-" * len(aligned[0]), *aligned[1:]])
