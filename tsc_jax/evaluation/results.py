"""The files of an evaluation: predictions and ground truth in ActivityNet's form, metrics and their table.

A results file is JSON of the form
{"version": ..., "results": {VIDEO: [{"label", "segment": [start, end], "score"}]}, "external_data": {}},
in seconds; `tsc_jax.data.annotations.read_json` describes the form of the ground truth.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import tsc_jax
from tsc_jax.data import annotations
from tsc_jax.data.names import as_name
from tsc_jax.data.source import sound
from tsc_jax.data.subsets import subset_of, test_subset
from tsc_jax.errors import InputError, stop
from tsc_jax.files import write_text
from tsc_jax.localization.segments import Segments, concatenate, make_segments

# First and last tIoU of the averages that papers report, THUMOS-14's two and ActivityNet's.
AVERAGES = {"0.1:0.5": (0.1, 0.5), "0.1:0.7": (0.1, 0.7), "0.5:0.95": (0.5, 0.95)}


class GroundTruth(NamedTuple):
    """Annotations of the V videos of one subset."""

    subset: str  # its name in the file
    videos: tuple[str, ...]  # V names
    classes: tuple[str, ...]  # C sorted names, of all subsets of the file
    segments: Segments  # in seconds; `video` and `label` are indices into the two above
    durations: np.ndarray  # float64 [V], in seconds; NaN where the file gives none


def read_ground_truth(path: Path, subset: str | None = None) -> GroundTruth:
    """Reads annotations in ActivityNet's form.

    `subset` None means "test" if the file has it, otherwise "validation", and all videos if the file has no subsets;
    capital letters do not matter. Raises InputError for an invalid file, or one without this subset.
    """
    everything = annotations.read_json(path)
    subsets = {subset_of(each): each.subset for each in everything}
    chosen = (
        (test_subset(everything) or ("" if set(subsets) == {""} else None)) if subset is None else subset.casefold()
    )
    if chosen not in subsets:
        expected = "test or validation" if subset is None else subset
        raise InputError(f"{path}: has the subsets {sorted(subsets.values())}, expected {expected} (--subset)")
    classes = tuple(sorted({label for each in everything for label in each.segment_labels}))
    index = {name: i for i, name in enumerate(classes)}
    videos = sound((each for each in everything if subset_of(each) == chosen), stop)
    segments = concatenate(
        make_segments(i, [index[label] for label in each.segment_labels], *np.reshape(each.segments, (-1, 2)).T)
        for i, each in enumerate(videos)
    )
    durations = np.array([np.nan if each.duration is None else each.duration for each in videos])
    return GroundTruth(subsets[chosen], tuple(each.name for each in videos), classes, segments, durations)


def read_predictions(path: Path, videos: Sequence[str], classes: Sequence[str]) -> tuple[Segments, tuple[str, ...]]:
    """Reads a results file; times and scores may be strings. Skips predictions in other videos than `videos`.

    Returns the predictions in seconds in the order of the file, with indices into `videos` and `classes`, and the names
    of all videos in the file. Raises InputError for an invalid file, unknown label, or number that is not finite.
    """
    results = _load(path)
    return _parse(path, results, videos, classes), tuple(results)


def read_all_predictions(path: Path) -> tuple[Segments, tuple[str, ...], tuple[str, ...]]:
    """Reads all predictions of a results file, whatever its videos and classes; raises as `read_predictions` does.

    Returns the predictions in seconds in the order of the file, the names of its V videos, to which `video` points, and
    the sorted names of its C classes.
    """
    results = _load(path)
    entries = [each for of_video in results.values() if isinstance(of_video, list) for each in of_video]
    named = [each["label"] for each in entries if isinstance(each, dict) and "label" in each]
    videos, classes = tuple(results), tuple(sorted(set(annotations.as_labels(named, path))))
    return _parse(path, results, videos, classes), videos, classes


def _load(path: Path) -> dict:
    results = annotations.load_json(path).get("results")
    if not isinstance(results, dict):
        raise InputError(f'{path}: has no object "results" of videos, expected ActivityNet\'s form')
    return {as_name(name): entries for name, entries in results.items()}


def _parse(path: Path, results: Mapping, videos: Sequence[str], classes: Sequence[str]) -> Segments:
    video_index, class_index = ({name: i for i, name in enumerate(names)} for names in (videos, classes))
    return concatenate(
        _read_video(f'{path}, video "{name}"', video_index[name], entries, class_index)
        for name, entries in results.items()
        if name in video_index
    )


def _read_video(where: str, video: int, entries: object, classes: Mapping[str, int]) -> Segments:
    try:
        labels = [classes[entry["label"]] for entry in entries]
        numbers = [(*entry["segment"], entry["score"]) for entry in entries]
        start, end, score = np.asarray(numbers, np.float64).reshape(len(entries), 3).T
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, KeyError) and error.args[0] not in ("label", "segment", "score"):
            wrong = f'label "{error.args[0]}" is not among the {len(classes)} classes of the ground truth'
        else:
            wrong = f'is {str(entries)[:60]}, expected a list of {{"label": ..., "segment": [s, e], "score": ...}}'
        raise InputError(f"{where}: {wrong}") from None
    if not np.isfinite([start, end, score]).all() or (end < start).any():
        raise InputError(f"{where}: a prediction is not finite or ends before it starts")
    return make_segments(video, labels, start, end, score)


def write_predictions(path: Path, segments: Segments, videos: Sequence[str], classes: Sequence[str]) -> None:
    """Writes a results file of segments in seconds, which reads back as exactly the same numbers.

    `video` and `label` are indices into `videos` and `classes`; videos without predictions are listed too.
    """
    results = {name: [] for name in videos}
    columns = (segments.video, segments.label, segments.start, segments.end, segments.score)
    for video, label, start, end, score in zip(*(column.tolist() for column in columns), strict=True):
        results[videos[video]].append({"label": classes[label], "segment": [start, end], "score": score})
    write_json(path, {"version": f"tsc_jax {tsc_jax.__version__}", "results": results, "external_data": {}})


def write_json(path: Path, content: Mapping) -> None:
    """Writes a JSON file whole, or not at all."""
    write_text(path, json.dumps(content, allow_nan=False) + "\n")


def make_metrics(protocol: str, tious: Sequence[float], mean_ap: np.ndarray, classification: float, step: int) -> dict:
    """Returns the content of metrics.json, except for "selection", which tells how the checkpoint was selected.

    `mean_ap` [tIoUs] and `classification`, the classification mAP, are in percent.
    """
    return {
        "protocol": protocol,
        "tiou": [float(tiou) for tiou in tious],
        "mAP": [float(value) for value in mean_ap],
        "average_mAP": averages(tious, mean_ap),
        "classification_mAP": classification,
        "step": step,
    }


def averages(tious: Sequence[float], mean_ap: np.ndarray) -> dict[str, float]:
    """Returns mean mAP over each range of AVERAGES whose two ends were evaluated, and over "all" thresholds."""
    tious, mean_ap = np.asarray(tious), np.asarray(mean_ap)
    covered = {name: ends for name, ends in AVERAGES.items() if np.isin(ends, tious).all()} | {"all": (0, 1)}
    return {name: float(mean_ap[(low <= tious) & (tious <= high)].mean()) for name, (low, high) in covered.items()}


def table(
    tious: Sequence[float],
    rows: Mapping[str, np.ndarray],
    baseline: str | None = None,
    sample: Sequence[str] = (),
    measure: str = "mAP (%)",
) -> str:
    """Formats a measure at each threshold, by name of the row, and its `averages` as a table for the terminal.

    A last column gives the difference in the average "all" to the row `baseline`. Two more rows give the mean and
    standard deviation of the rows `sample`.
    """
    values = {name: np.array([*mean_ap, *averages(tious, mean_ap).values()]) for name, mean_ap in rows.items()}
    if sample:
        of_sample = [values[name] for name in sample]
        values |= {"mean": np.mean(of_sample, axis=0), "standard deviation": np.std(of_sample, axis=0, ddof=1)}
    lines = [[f"{measure} at tIoU", *(f"{tiou:g}" for tiou in tious), *averages(tious, np.zeros(len(tious)))]]
    lines += [[name, *(f"{value:.1f}" for value in row)] for name, row in values.items()]
    if baseline is not None:
        changes = {name: row[-1] - values[baseline][-1] for name, row in values.items()}
        cells = ("" if name == baseline else f"{change:+.2f}" for name, change in changes.items())
        lines = [[*line, cell] for line, cell in zip(lines, (f"vs {baseline}", *cells), strict=True)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines]
    return "\n".join([aligned[0], "-" * len(aligned[0]), *aligned[1:]])
