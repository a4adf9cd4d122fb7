"""Scores any results file against any annotations, and tells how much each choice of protocol moves the number."""

import dataclasses
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
# Lists of 212, 211 and 210 test videos of THUMOS-14 circulate: some leave out one or both of these.
DISPUTED = ("video_test_0000270", "video_test_0001496")


@dataclasses.dataclass(frozen=True)
class Choices:
    """Everything besides the predictions that an mAP depends on.

    Attributes:
      protocol: one of `protocols.PROTOCOLS`.
      tious: thresholds.
      snippets_per_second: rate of the snippet features.
      videos: bool [V], those that are evaluated.
      ambiguous: stretches in seconds, predictions in which are left out; None: all predictions count.
      with_zero_length: whether instances without length, in the protocol's unit, count.
      with_past_end: whether instances that start after the end of their video count.
      later_wins: which of two instances with equal tIoU a prediction takes.
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
    """What there is to say about a results file: facts of the data, and mAP beside its floor.

    Args:
      predictions_file: in ActivityNet's results form.
      ground_truth_file: in ActivityNet's form of annotations.
      protocol: one of `protocols.PROTOCOLS`.
      tious: thresholds.
      snippets_per_second: rate of the snippet features; matters to the protocol "published" alone.
      subset: see `read_ground_truth`.
      videos_file: names of the videos to evaluate, one a line; None: all of the subset.
      ambiguous_file: see `read_ambiguous`; predictions that lie in such stretches are left out.
      all_protocols: whether to vary each choice by itself, under each protocol.

    Raises:
      InputError: a file of another form, or one that has no video in common with the annotations.
    """
    truth = read_ground_truth(ground_truth_file, subset)
    predictions, named = read_predictions(predictions_file, truth.videos, truth.classes)
    listed = truth.videos if videos_file is None else [line for line in read_lines(videos_file) if line]
    choices = Choices(
        protocol=protocol,
        tious=tious,
        snippets_per_second=snippets_per_second,
        videos=np.isin(truth.videos, listed),
        ambiguous=None if ambiguous_file is None else read_ambiguous(ambiguous_file, truth.videos),
    )
    for file, names in ((predictions_file, named), (videos_file, listed)):
        if not set(names) & set(truth.videos):
            raise InputError(f"{file}: names none of the {len(truth.videos)} videos of {ground_truth_file}")

    facts = [f"{ground_truth_file}: {_counts(len(truth.videos), truth.segments)} in the {truth.subset} subset"]
    if videos_file is not None:
        facts.append(f"{videos_file}: {_difference(listed, truth.videos)}")
    facts.append(f"{predictions_file}: {len(predictions)} predictions; {_difference(named, truth.videos)}")
    facts += quirks(truth, predictions, choices)
    if not all_protocols:
        return "\n".join([*facts, "", _compared(truth, predictions, {protocol: choices}, None)])
    parts = [*facts]
    for each in PROTOCOLS:
        varied = dict(variations(truth, predictions, named, dataclasses.replace(choices, protocol=each)))
        parts += ["", _compared(truth, predictions, varied, each)]
    return "\n".join(parts)


def mean_ap(truth: GroundTruth, predictions: Segments, choices: Choices) -> np.ndarray:
    """Detection mAP in percent, float64 [tIoUs]; predictions in seconds."""
    instances = truth.segments[choices.videos[truth.segments.video]]
    predictions = predictions[choices.videos[predictions.video]]
    if choices.ambiguous is not None:
        predictions = predictions[~is_ambiguous(predictions, choices.ambiguous)]
    if not choices.with_past_end:
        instances = instances[~_past_end(truth, instances)]
    unit = (choices.snippets_per_second, choices.protocol)
    instances, predictions = to_protocol(instances, *unit), to_protocol(predictions, *unit, predicted=True)
    if not choices.with_zero_length:
        instances = instances[instances.end > instances.start]
    if not choices.later_wins:
        instances = instances[::-1]
    return 100 * mean_average_precision(instances, predictions, choices.tious, len(truth.classes))


def quirks(truth: GroundTruth, predictions: Segments, choices: Choices) -> Iterator[str]:
    """What is odd about the annotations of the videos that are evaluated, in sentences."""
    instances = truth.segments[choices.videos[truth.segments.video]]
    if not choices.videos.all():
        yield f"evaluated: {_counts(choices.videos.sum(), instances)}"
    for protocol in PROTOCOLS:
        if empty := _zero_length(instances, dataclasses.replace(choices, protocol=protocol)).sum():
            yield f"protocol {protocol}: {empty} of {len(instances)} instances have zero length and can only be missed"
    if disputed := _disputed(truth, choices):
        without = ", ".join(disputed)
        yield f"THUMOS-14 is evaluated on 212, 211 or 210 videos; here are those that some leave out: {without}"
    past_end = instances[_past_end(truth, instances)]
    if len(past_end):
        where = _some(truth.videos[video] for video in np.unique(past_end.video))
        yield f"{len(past_end)} instances start after the end of their video: in {where}"
    if np.isnan(truth.durations[instances.video]).any():
        yield "some videos have no duration, so no floor is given"
    if choices.ambiguous is not None:
        inside = is_ambiguous(predictions, choices.ambiguous).sum()
        stretches = f"{len(choices.ambiguous)} ambiguous stretches in {len(np.unique(choices.ambiguous.video))} videos"
        yield f"{stretches}: {inside} of {len(predictions)} predictions lie mostly in one and are left out"


def variations(
    truth: GroundTruth, predictions: Segments, named: Sequence[str], choices: Choices
) -> Iterator[tuple[str, Choices]]:
    """The choices as they are, under the name of their protocol, then with one of them changed in turn."""

    def but(**changed) -> Choices:
        return dataclasses.replace(choices, **changed)

    yield choices.protocol, choices
    instances = truth.segments[choices.videos[truth.segments.video]]
    everything = np.ones_like(choices.videos)
    with_predictions = choices.videos & np.isin(truth.videos, named)
    if not choices.videos.all():
        yield f"  all {len(everything)} videos", but(videos=everything)
    if with_predictions.any() and (with_predictions != choices.videos).any():
        yield f"  only the {with_predictions.sum()} videos with predictions", but(videos=with_predictions)
    disputed = _disputed(truth, choices)
    for left_out in dict.fromkeys(map(tuple, (disputed[:1], disputed[1:], disputed))):
        kept = choices.videos & ~np.isin(truth.videos, left_out)
        if left_out and kept.any():
            yield f"  {kept.sum()} videos, without {' and '.join(left_out)}", but(videos=kept)
    if choices.ambiguous is not None:
        yield "  predictions in ambiguous stretches count", but(ambiguous=None)
    if empty := _zero_length(instances, choices).sum():
        yield f"  without {empty} instances of zero length", but(with_zero_length=False)
    if past_end := _past_end(truth, instances).sum():
        yield f"  without {past_end} instances past the video's end", but(with_past_end=False)
    yield "  of equal tIoUs the earlier instance", but(later_wins=False)
    dusty = np.linspace(choices.tious[0], choices.tious[-1], len(choices.tious))
    if np.allclose(dusty, choices.tious, atol=1e-9) and (dusty != choices.tious).any():
        yield "  tIoUs with the dust of NumPy's linspace", but(tious=dusty)


def _compared(truth: GroundTruth, predictions: Segments, rows: dict[str, Choices], baseline: str | None) -> str:
    """The table of all rows, and the floor of the first."""
    first = next(iter(rows.values()))
    values = {name: mean_ap(truth, predictions, choices) for name, choices in rows.items()}
    instances = truth.segments[first.videos[truth.segments.video]]
    if not np.isnan(truth.durations[instances.video]).any():
        values[FLOOR] = mean_ap(truth, floor_predictions(instances, truth.durations), first)
    return table(first.tious, values, baseline)


def _zero_length(instances: Segments, choices: Choices) -> np.ndarray:
    instances = to_protocol(instances, choices.snippets_per_second, choices.protocol)
    return instances.start == instances.end


def _disputed(truth: GroundTruth, choices: Choices) -> list[str]:
    return [name for name in DISPUTED if name in set(np.asarray(truth.videos)[choices.videos])]


def _past_end(truth: GroundTruth, instances: Segments) -> np.ndarray:
    return instances.start >= truth.durations[instances.video]  # False where the duration is not known


def _counts(videos: int, instances: Segments) -> str:
    return f"{videos} videos, {len(instances)} instances of {len(np.unique(instances.label))} classes"


def _difference(names: Sequence[str], videos: Sequence[str]) -> str:
    """How a list of videos differs from that of the annotations."""
    known, missing, strange = set(videos) & set(names), set(videos) - set(names), set(names) - set(videos)
    text = f"names {len(known)} of the {len(videos)} annotated videos"
    text += f"; not {_some(sorted(missing))}" if missing else ""
    return text + (f"; left out, as they are not annotated: {_some(sorted(strange))}" if strange else "")


def _some(names: Iterator[str] | Sequence[str], most: int = 3) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
