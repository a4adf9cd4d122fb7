"""Scores any results file against any annotations and shows how much each choice of the protocol changes mAP."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tsc_jax.data.annotations import read_lines
from tsc_jax.errors import InputError
from tsc_jax.evaluation.ambiguous import is_ambiguous, read_ambiguous
from tsc_jax.evaluation.detection import mean_average_precision
from tsc_jax.evaluation.protocols import FLOOR, PROTOCOLS, floor_predictions, to_protocol
from tsc_jax.evaluation.results import GroundTruth, read_ground_truth, read_predictions, table
from tsc_jax.localization.segments import Segments

# Papers use lists of 212, 211 and 210 test videos of THUMOS-14: some lists omit one or both of these.
DISPUTED = ("video_test_0000270", "video_test_0001496")


class Request(NamedTuple):
    """What to score; V is the number of annotated videos."""

    truth: GroundTruth
    predictions: Segments  # in seconds, of the V videos
    named: Sequence[str]  # all videos in the results file
    listed: Sequence[str]  # the videos to evaluate, annotated or not
    videos: np.ndarray  # bool [V], whether a video is evaluated
    ambiguous: Segments | None  # stretches in seconds whose predictions are not scored
    tious: Sequence[float]  # thresholds
    snippets_per_second: float


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
    """Returns a text with facts about the data, mAP and its floor; both files are in ActivityNet's form.

    `videos_file` names the videos to evaluate, one per line; None means the whole subset. Predictions in the stretches
    of `ambiguous_file` are not scored. `all_protocols` adds a row per changed choice, under each protocol. Raises
    InputError for an invalid file, or one that shares no video with the annotations.
    """
    request = read_request(
        predictions_file, ground_truth_file, tious, snippets_per_second, subset, videos_file, ambiguous_file
    )
    truth, number = request.truth, len(request.predictions)
    text = [f"{ground_truth_file}: {_counts(len(truth.videos), truth.segments)} in the {truth.subset} subset"]
    if videos_file is not None:
        text.append(f"{videos_file}: {_difference(request.listed, truth.videos)}")
    text.append(f"{predictions_file}: {number} predictions; {_difference(request.named, truth.videos)}")
    text += quirks(request)
    for each in PROTOCOLS if all_protocols else [protocol]:
        text += ["", table(tious, scores(request, each, all_protocols), baseline=each if all_protocols else None)]
    return "\n".join(text)


def read_request(
    predictions_file: Path,
    ground_truth_file: Path,
    tious: Sequence[float],
    snippets_per_second: float,
    subset: str | None = None,
    videos_file: Path | None = None,
    ambiguous_file: Path | None = None,
) -> Request:
    """Reads the files that `rescore` compares; raises InputError as it does."""
    truth = read_ground_truth(ground_truth_file, subset)
    predictions, named = read_predictions(predictions_file, truth.videos, truth.classes)
    listed = truth.videos if videos_file is None else [line for line in read_lines(videos_file) if line]
    ambiguous = None if ambiguous_file is None else read_ambiguous(ambiguous_file, truth.videos)
    for file, names in ((predictions_file, named), (videos_file, listed)):
        if not set(names) & set(truth.videos):
            raise InputError(f"{file}: names none of the {len(truth.videos)} videos of {ground_truth_file}")
    videos = np.isin(truth.videos, listed)
    return Request(truth, predictions, named, listed, videos, ambiguous, tious, snippets_per_second)


def scores(request: Request, protocol: str, with_variations: bool) -> dict[str, np.ndarray]:
    """Returns mAP in percent, float64 [tIoUs], under a protocol, its `variations` and the floor, by name."""
    truth, instances = request.truth, instances_of(request)
    compared = {protocol: comparable(request, protocol)}
    if with_variations:
        compared |= {name: changed for name, changed in variations(request, protocol) if len(changed[0])}
    if not np.isnan(truth.durations[instances.video]).any():
        floor = floor_predictions(instances, truth.durations)
        compared[FLOOR] = comparable(request._replace(predictions=floor), protocol)
    return {name: 100 * mean_average_precision(*by, len(truth.classes)) for name, by in compared.items()}


def comparable(request: Request, protocol: str) -> tuple[Segments, Segments, Sequence[float]]:
    """Returns the evaluated instances and the scored predictions in the unit of the protocol, and the tIoUs."""
    predictions = request.predictions[request.videos[request.predictions.video]]
    if request.ambiguous is not None:
        predictions = predictions[~is_ambiguous(predictions, request.ambiguous)]
    both = to_protocol(instances_of(request), predictions, request.snippets_per_second, protocol)
    return *both, request.tious


def quirks(request: Request) -> Iterator[str]:
    """Yields a sentence per oddity of the evaluated annotations."""
    truth, instances = request.truth, instances_of(request)
    if not request.videos.all():
        yield f"evaluated: {_counts(request.videos.sum(), instances)}"
    for protocol in PROTOCOLS:
        converted, _ = to_protocol(instances, request.predictions, request.snippets_per_second, protocol)
        if empty := (converted.start == converted.end).sum():
            yield f"protocol {protocol}: {empty} of {len(instances)} instances have zero length and can only be missed"
    if disputed := _disputed(request):
        yield f"THUMOS-14 is evaluated on 212, 211 or 210 videos; some lists omit {', '.join(disputed)}"
    past_end = instances[_starts_past_end(truth, instances)]
    if len(past_end):
        where = _some([truth.videos[video] for video in np.unique(past_end.video)])
        yield f"{len(past_end)} instances start after the end of their video: in {where}"
    if np.isnan(truth.durations[instances.video]).any():
        yield "some videos have no duration, so no floor is given"
    if (ambiguous := request.ambiguous) is not None:
        inside = f"{is_ambiguous(request.predictions, ambiguous).sum()} of {len(request.predictions)} predictions"
        stretches = f"{len(ambiguous)} ambiguous stretches in {len(np.unique(ambiguous.video))} videos"
        yield f"{stretches}: {inside} lie mostly in one and are not scored"


def variations(request: Request, protocol: str) -> Iterator[tuple[str, tuple[Segments, Segments, Sequence[float]]]]:
    """Yields each choice that can be changed: its name, and (instances, predictions, tIoUs) after the change."""
    truth, videos, tious = request.truth, request.videos, request.tious

    def but(**changes) -> tuple[Segments, Segments, Sequence[float]]:
        return comparable(request._replace(**changes), protocol)

    if not videos.all():
        yield f"  all {len(videos)} videos", but(videos=np.ones_like(videos))
    with_predictions = videos & np.isin(truth.videos, request.named)
    if (with_predictions != videos).any():
        yield f"  only the {with_predictions.sum()} videos with predictions", but(videos=with_predictions)
    disputed = _disputed(request)
    for omitted in filter(None, dict.fromkeys(map(tuple, (disputed[:1], disputed[1:], disputed)))):
        kept = videos & ~np.isin(truth.videos, omitted)
        yield f"  {kept.sum()} videos, without {' and '.join(omitted)}", but(videos=kept)
    if request.ambiguous is not None:
        yield "  predictions in ambiguous stretches count", but(ambiguous=None)

    instances, *others = comparable(request, protocol)
    if (empty := instances.start == instances.end).any():
        yield f"  without {empty.sum()} instances of zero length", (instances[~empty], *others)
    if (past_end := _starts_past_end(truth, instances_of(request))).any():
        yield f"  without {past_end.sum()} instances past the video's end", (instances[~past_end], *others)
    yield "  of equal tIoUs the earlier instance", (instances[::-1], *others)
    rounded = np.linspace(tious[0], tious[-1], len(tious))
    if np.allclose(rounded, tious, atol=1e-9) and (rounded != tious).any():
        yield "  tIoUs with the rounding errors of NumPy's linspace", but(tious=rounded)


def instances_of(request: Request) -> Segments:
    """Returns the instances of the evaluated videos, in seconds."""
    return request.truth.segments[request.videos[request.truth.segments.video]]


def _disputed(request: Request) -> list[str]:
    return [name for name in DISPUTED if name in np.array(request.truth.videos)[request.videos]]


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
