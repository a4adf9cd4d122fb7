"""Scores any results file against any annotations and shows how much each choice of the protocol changes mAP."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tsc_jax.data.annotations import read_lines
from tsc_jax.errors import InputError
from tsc_jax.evaluation.ambiguous import is_ambiguous, read_ambiguous
from tsc_jax.evaluation.detection import mean_average_precision
from tsc_jax.evaluation.protocols import PROTOCOLS, floor_predictions, to_protocol
from tsc_jax.evaluation.results import GroundTruth, read_ground_truth, read_predictions, table
from tsc_jax.localization.segments import Segments

FLOOR = "floor: true labels, whole videos"
# Papers use lists of 212, 211 and 210 test videos of THUMOS-14: some lists omit one or both of these.
DISPUTED = ("video_test_0000270", "video_test_0001496")


@dataclasses.dataclass(frozen=True)
class Choices:
    """All that mAP depends on besides predictions and annotations.

    Attributes:
      protocol: one of `protocols.PROTOCOLS`.
      tious: thresholds.
      snippets_per_second: rate of the snippet features.
      videos: bool [V], whether a video is evaluated.
      ambiguous: stretches in seconds whose predictions are not scored; None: all predictions are scored.
      with_zero_length: whether instances without length, in the protocol's unit, count.
      with_past_end: whether instances that start after the end of their video count.
      later_wins: whether a prediction takes the later of two instances with equal tIoU.
    """

    protocol: str
    tious: Sequence[float]
    snippets_per_second: float
    videos: np.ndarray
    ambiguous: Segments | None
    with_zero_length: bool = True
    with_past_end: bool = True
    later_wins: bool = True


def rescore(
    predictions_file: Path,
    ground_truth_file: Path,
    *,
    protocol: str,
    tious: Sequence[float],
    snippets_per_second: float,
    subset: str | None = None,
    videos_file: Path | None = None,
    ambiguous_file: Path | None = None,
    all_protocols: bool = False,
) -> str:
    """Returns a text with facts about the data, mAP and its floor.

    Args:
      predictions_file: a results file in ActivityNet's form.
      ground_truth_file: annotations in ActivityNet's form.
      protocol: one of `protocols.PROTOCOLS`.
      tious: thresholds.
      snippets_per_second: rate of the snippet features; only the protocol "published" uses it.
      subset: see `read_ground_truth`.
      videos_file: names of the videos to evaluate, one per line; None: the whole subset.
      ambiguous_file: see `read_ambiguous`; predictions in these stretches are not scored.
      all_protocols: whether to add a row per changed choice, under each protocol.

    Raises:
      InputError: an invalid file, or one that shares no video with the annotations.
    """
    truth = read_ground_truth(ground_truth_file, subset)
    predictions, named = read_predictions(predictions_file, truth.videos, truth.classes)
    listed = truth.videos if videos_file is None else [line for line in read_lines(videos_file) if line]
    ambiguous = None if ambiguous_file is None else read_ambiguous(ambiguous_file, truth.videos)
    choices = Choices(protocol, tious, snippets_per_second, np.isin(truth.videos, listed), ambiguous)
    for file, names in ((predictions_file, named), (videos_file, listed)):
        if not set(names) & set(truth.videos):
            raise InputError(f"{file}: names none of the {len(truth.videos)} videos of {ground_truth_file}")

    text = [f"{ground_truth_file}: {_counts(len(truth.videos), truth.segments)} in the {truth.subset} subset"]
    if videos_file is not None:
        text.append(f"{videos_file}: {_difference(listed, truth.videos)}")
    text.append(f"{predictions_file}: {len(predictions)} predictions; {_difference(named, truth.videos)}")
    text += quirks(truth, predictions, choices)
    if not all_protocols:
        return "\n".join([*text, "", _table(truth, predictions, {protocol: choices})])
    for each in PROTOCOLS:
        varied = variations(truth, named, dataclasses.replace(choices, protocol=each))
        text += ["", _table(truth, predictions, dict(varied), baseline=each)]
    return "\n".join(text)


def mean_ap(truth: GroundTruth, predictions: Segments, choices: Choices) -> np.ndarray:
    """Returns detection mAP in percent, float64 [tIoUs]; predictions in seconds."""
    instances = _instances(truth, choices)
    predictions = predictions[choices.videos[predictions.video]]
    if choices.ambiguous is not None:
        predictions = predictions[~is_ambiguous(predictions, choices.ambiguous)]
    if not choices.with_past_end:
        instances = instances[~_starts_past_end(truth, instances)]
    unit = (choices.snippets_per_second, choices.protocol)
    instances, predictions = to_protocol(instances, *unit), to_protocol(predictions, *unit, predicted=True)
    if not choices.with_zero_length:
        instances = instances[instances.end > instances.start]
    if not choices.later_wins:
        instances = instances[::-1]
    return 100 * mean_average_precision(instances, predictions, choices.tious, len(truth.classes))


def quirks(truth: GroundTruth, predictions: Segments, choices: Choices) -> Iterator[str]:
    """Yields a sentence per oddity of the evaluated annotations."""
    instances = _instances(truth, choices)
    if not choices.videos.all():
        yield f"evaluated: {_counts(choices.videos.sum(), instances)}"
    for protocol in PROTOCOLS:
        if empty := _zero_length(instances, protocol, choices.snippets_per_second):
            yield f"protocol {protocol}: {empty} of {len(instances)} instances have zero length and can only be missed"
    if disputed := _disputed(truth, choices):
        yield f"THUMOS-14 is evaluated on 212, 211 or 210 videos; some lists omit {', '.join(disputed)}"
    past_end = instances[_starts_past_end(truth, instances)]
    if len(past_end):
        where = _some([truth.videos[video] for video in np.unique(past_end.video)])
        yield f"{len(past_end)} instances start after the end of their video: in {where}"
    if np.isnan(truth.durations[instances.video]).any():
        yield "some videos have no duration, so no floor is given"
    if choices.ambiguous is not None:
        inside = is_ambiguous(predictions, choices.ambiguous).sum()
        stretches = f"{len(choices.ambiguous)} ambiguous stretches in {len(np.unique(choices.ambiguous.video))} videos"
        yield f"{stretches}: {inside} of {len(predictions)} predictions lie mostly in one and are not scored"


def variations(truth: GroundTruth, named: Sequence[str], choices: Choices) -> Iterator[tuple[str, Choices]]:
    """Yields the choices under the name of their protocol, then a named copy per changed choice.

    Args:
      truth: the annotations.
      named: names of the videos in the results file.
      choices: the baseline.
    """
    but = functools.partial(dataclasses.replace, choices)
    yield choices.protocol, choices
    instances = _instances(truth, choices)
    with_predictions = choices.videos & np.isin(truth.videos, named)
    if not choices.videos.all():
        yield f"  all {len(truth.videos)} videos", but(videos=np.ones_like(choices.videos))
    if with_predictions.any() and (with_predictions != choices.videos).any():
        yield f"  only the {with_predictions.sum()} videos with predictions", but(videos=with_predictions)
    disputed = _disputed(truth, choices)
    for omitted in dict.fromkeys(map(tuple, (disputed[:1], disputed[1:], disputed))):
        kept = choices.videos & ~np.isin(truth.videos, omitted)
        if omitted and kept.any():
            yield f"  {kept.sum()} videos, without {' and '.join(omitted)}", but(videos=kept)
    if choices.ambiguous is not None:
        yield "  predictions in ambiguous stretches count", but(ambiguous=None)
    if empty := _zero_length(instances, choices.protocol, choices.snippets_per_second):
        yield f"  without {empty} instances of zero length", but(with_zero_length=False)
    if past_end := _starts_past_end(truth, instances).sum():
        yield f"  without {past_end} instances past the video's end", but(with_past_end=False)
    yield "  of equal tIoUs the earlier instance", but(later_wins=False)
    rounded = np.linspace(choices.tious[0], choices.tious[-1], len(choices.tious))
    if np.allclose(rounded, choices.tious, atol=1e-9) and (rounded != choices.tious).any():
        yield "  tIoUs with the rounding errors of NumPy's linspace", but(tious=rounded)


def _table(truth: GroundTruth, predictions: Segments, rows: dict[str, Choices], baseline: str | None = None) -> str:
    """Formats a row of mAP per entry, and the floor of the first."""
    values = {name: mean_ap(truth, predictions, choices) for name, choices in rows.items()}
    first = next(iter(rows.values()))
    instances = _instances(truth, first)
    if not np.isnan(truth.durations[instances.video]).any():
        values[FLOOR] = mean_ap(truth, floor_predictions(instances, truth.durations), first)
    return table(first.tious, values, baseline)


def _instances(truth: GroundTruth, choices: Choices) -> Segments:
    """Returns the instances of the evaluated videos, in seconds."""
    return truth.segments[choices.videos[truth.segments.video]]


def _zero_length(instances: Segments, protocol: str, snippets_per_second: float) -> int:
    instances = to_protocol(instances, snippets_per_second, protocol)
    return int((instances.start == instances.end).sum())


def _disputed(truth: GroundTruth, choices: Choices) -> list[str]:
    return [name for name in DISPUTED if name in np.array(truth.videos)[choices.videos]]


def _starts_past_end(truth: GroundTruth, instances: Segments) -> np.ndarray:
    return instances.start >= truth.durations[instances.video]  # False where the duration is NaN


def _counts(videos: int, instances: Segments) -> str:
    return f"{videos} videos, {len(instances)} instances of {len(np.unique(instances.label))} classes"


def _difference(names: Sequence[str], annotated: Sequence[str]) -> str:
    """Describes how a list of videos differs from the annotated videos."""
    missing, unknown = sorted(set(annotated) - set(names)), sorted(set(names) - set(annotated))
    text = f"names {len(annotated) - len(missing)} of the {len(annotated)} annotated videos"
    text += f"; not {_some(missing)}" if missing else ""
    return text + (f"; skips {_some(unknown)}, not annotated" if unknown else "")


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
