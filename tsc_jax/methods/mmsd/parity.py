"""Compares MMSD with recordings of its published implementation.

All of it is reproduced by float32 to 1e-5 of the largest entry of each array; masks, labels, votes, and the rows and
order of proposals are equal.
"""

import fnmatch
from collections.abc import Iterator

import ml_collections
import numpy as np

from tsc_jax.evaluation import classification
from tsc_jax.evaluation.ambiguous import shares_snippet
from tsc_jax.evaluation.detection import average_precisions, ranking
from tsc_jax.evaluation.protocols import to_protocol
from tsc_jax.localization.class_tracks import candidates, class_scores, localize
from tsc_jax.localization.segments import Segments, make_segments
from tsc_jax.methods.mmsd import replay
from tsc_jax.methods.mmsd.network import STREAMS, fuse, stream_weights
from tsc_jax.nn.cosine import Scores
from tsc_jax.parity import EQUAL, Arrays, Row, Tolerance, compare, compare_rows
from tsc_jax.replay import subset

# Names of arrays of which every recording of this method, and of no other, holds one.
MARKS = ("init/peer_stream.ac_center", "0/peer/scores")

GIVEN = ("init/", "in/", "meta/", "train/mask/")  # what is not compared, but used
DECISIONS = ("pseudo/*/label", "vote/*/mask")  # what is equal
NUMBERS = Tolerance(relative=1e-5)
SCORES = Tolerance(absolute=1e-5)  # of proposals; all scores of a video may be tiny
AP = Tolerance(absolute=1e-8)  # from 0 to 1
PERCENT = Tolerance(absolute=1e-6)


def check_model(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Iterator[Row]:
    """Outputs, losses, gradients, votes, the steps of Adam and the pseudo labels of every refresh."""
    setup = replay.set_up(recording, config, devices)
    masks, rate = subset(recording, "train/mask/"), float(recording["meta/dropout_of_train"])
    computed = replay.trained(setup, masks, rate)
    for name, recorded in recording.items():
        if not name.startswith(GIVEN):
            yield compare(name, computed.get(name), recorded, tolerance_of(name))


def tolerance_of(name: str) -> Tolerance:
    """What is accepted of a quantity of a model."""
    return EQUAL if any(fnmatch.fnmatch(name, decision) for decision in DECISIONS) else NUMBERS


def check_proposals(recording: Arrays, config: ml_collections.ConfigDict) -> Iterator[Row]:
    """Fused scores, candidates and proposals of every video, and the mAP of all of them."""
    outputs = [fused(subset(recording, f"{video}/"), config) for video in range(len(recording["meta/lengths"]))]
    for video, output in enumerate(outputs):
        yield compare(f"{video}/video_score", output["class_scores"], recording[f"{video}/video_score"], NUMBERS)
        yield compare(f"{video}/snippet_score", output["cas"], recording[f"{video}/snippet_score"], NUMBERS)
        tracks, scores = output["cas"].astype(np.float64), output["class_scores"][:-1]
        before = candidates(video, tracks, scores, config.proposals)
        yield from check_rows(f"{video}/candidates", before, recording[f"{video}/candidates"])
        proposals = localize([output], config.proposals)
        yield from check_rows(f"{video}/proposals", proposals, recording[f"{video}/proposals"])
    segments = localize(outputs, config.proposals).scaled(1 / recording["meta/snippets_per_second"])
    yield from check_detection(recording, segments)
    ambiguous = with_label(recording["eval/ambiguous"])
    left = segments[~shares_snippet(segments, ambiguous, float(recording["meta/snippets_per_second"]))]
    yield from check_detection(recording, left, "filtered")
    mean = 100 * classification.mean_average_precision(class_scores(outputs), recording["eval/labels"].astype(bool))
    yield compare("eval/classification_mAP", mean, recording["eval/classification_mAP"], PERCENT)


def fused(arrays: Arrays, config: ml_collections.ConfigDict) -> dict[str, np.ndarray]:
    """The outputs for `localize` of one video, from the recorded outputs of its streams."""

    def scores(stream: str) -> Scores:
        agnostic, attention, cas = (arrays[f"{stream}/{name}"] for name in ("video_agnostic", "attention", "scores"))
        with np.errstate(divide="ignore"):  # a probability of 0 is a logit of -inf
            return Scores(cas[None], attention[None], None, np.log(agnostic)[None], None)

    outputs = fuse({stream: scores(stream) for stream in STREAMS[2]}, stream_weights(config.model))
    return {name: np.asarray(array[0]) for name, array in (outputs.snippets | outputs.videos).items()}


def check_rows(quantity: str, segments: Segments, recorded: np.ndarray) -> Iterator[Row]:
    """Start, end and class in their order, and scores."""
    rows = np.stack([segments.start, segments.end, segments.label, segments.score], axis=1)
    yield from compare_rows(quantity, rows, recorded, SCORES)


def with_label(rows: np.ndarray) -> Segments:
    """Segments from rows of video, start, end and, if there is one, class."""
    video, start, end, label = np.column_stack([rows, np.zeros(len(rows))])[:, :4].T
    return make_segments(video, label, start, end)


def check_detection(recording: Arrays, segments: Segments, group: str = "plain") -> Iterator[Row]:
    """The list of each class, AP and mAP of segments in seconds, on the videos with ground truth."""
    truth, ap = with_label(recording["eval/gt"]), recording[f"eval/{group}/ap"]
    segments = segments[np.isin(segments.video, recording["eval/videos"])]
    truth, segments = to_protocol(truth, segments, float(recording["meta/snippets_per_second"]), "published")
    ranked = segments[ranking(segments)]
    for label in range(ap.shape[1]):
        listed, own = recording[f"eval/{group}/class{label}"], ranked[ranked.label == label]
        rows = np.stack([own.video, own.start, own.end, own.score], axis=1)
        yield from compare_rows(f"eval/{group}/class{label}", rows, listed, SCORES)
    computed = average_precisions(truth, segments, recording["eval/tiou"], ap.shape[1])
    present = ~np.isnan(computed[0])
    yield compare(f"eval/{group}/ap", computed[:, present], ap[:, present], AP)
    yield compare(f"eval/{group}/mAP", 100 * computed[:, present].mean(axis=1), recording[f"eval/{group}/mAP"], PERCENT)
