"""Compares GRN with recordings of an independent reference in float64; no code was published."""

import functools
from collections.abc import Callable, Iterator

import ml_collections
import numpy as np

from tsc_jax.localization.nms import hard_nms
from tsc_jax.localization.segments import Segments, make_segments
from tsc_jax.methods.grn import replay
from tsc_jax.methods.grn.localize import candidates, localize, merge
from tsc_jax.nn.sampling import even_places
from tsc_jax.parity import EQUAL, Arrays, Row, Tolerance, compare, compare_rows
from tsc_jax.replay import subset

# Names of arrays of which every recording of this method, and of no other, holds one.
MARKS = ("meta/mu_lambda_tauhigh_taulow", "0/fused_candidates")

NUMBER = Tolerance(relative=1e-5)
GRADIENT = Tolerance(relative=1e-5, absolute=1e-7)  # a gradient that is 0 in theory is rounding here
SCORE = Tolerance(absolute=1e-6)
DISCRETE = ("active", "z", "star")


def check_model(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Iterator[Row]:
    """All quantities of one stream."""
    configure = functools.partial(replay.configure, recording, config)
    trained = replay.outputs_of(recording, configure(), devices, train=True)
    yield from compare_all("train/", trained, recording)
    yield from compare_all("eval/", replay.outputs_of(recording, configure(), devices, train=False), recording)
    yield from compare_all("pseudo/", trained, recording)
    yield from compare_all("running/", trained, recording)
    yield from check_gradients(recording, configure, devices)
    for name in ("adam", "adam_large", "adam_large_topk"):
        if (rates := recording.get(f"{name}/rates_class_graph")) is not None:
            changes = {"model.pool": "topk"} if name.endswith("_topk") else {}
            taken = replay.steps_of(recording, configure(**changes), rates, devices)
            yield from compare_all(f"{name}/", taken, recording, skip=("rates_class_graph",))
    for name, changes in replay.VARIANTS.items():
        yield from check_variant(f"variant/{name}/", recording, configure(**changes), devices)
    for name in sorted(name for name in recording if name.startswith("wrap/") and name.endswith("/features")):
        prefix, inputs = name.removesuffix("features"), ("features", "map", "upstream")
        computed = replay.wrapped(*(recording[f"{prefix}{each}"] for each in inputs))
        yield from compare_all(prefix, computed, recording, skip=inputs)


def check_gradients(recording: Arrays, configure: Callable, devices: int) -> Iterator[Row]:
    """Gradients of each loss alone and of their sum; where a loss does not reach a tensor, its gradient is 0."""
    weight = recording["meta/mu_lambda_tauhigh_taulow"][1]
    of_kind = {"aff": (1.0, 0.0), "cls": (0.0, 1.0), "total": (1.0, weight)}
    largest = {}
    for kind, (affinity, classification) in of_kind.items():
        weights = {"loss.weights.affinity": affinity, "loss.weights.classification": classification}
        computed, _ = replay.gradients_of(recording, configure(**weights), devices)
        for name, gradient in computed.items():
            recorded = recording.get(f"grad_{kind}/{name}", np.zeros(gradient.shape))
            yield compare(f"grad_{kind}/{name}", gradient, recorded, GRADIENT)
        of_graph = (np.abs(gradient).max() for name, gradient in computed.items() if not name.startswith("fc"))
        largest[kind] = np.array(max(of_graph))
    for kind, tolerance in (("aff_there", NUMBER), ("cls_in_the_graph_module", GRADIENT)):
        name = f"proof/largest_gradient_of_{kind}"
        yield compare(name, largest[kind.split("_")[0]], recording[name], tolerance)


def check_variant(prefix: str, recording: Arrays, config, devices: int) -> Iterator[Row]:
    """Everything in training mode under one option."""
    if not subset(recording, prefix):
        return
    computed = replay.outputs_of(recording, config, devices, train=True)
    gradients, loss = replay.gradients_of(recording, config, devices)
    computed |= {"loss": loss} | {f"grad/{name}": gradient for name, gradient in gradients.items()}
    yield from compare_all(prefix, computed, recording)


def compare_all(prefix: str, computed: Arrays, recording: Arrays, skip: tuple[str, ...] = ()) -> Iterator[Row]:
    """Compares every recorded array whose name begins with the prefix."""
    for name, recorded in subset(recording, prefix).items():
        if name not in skip:
            tolerance = EQUAL if name in DISCRETE else GRADIENT if name.startswith("grad") else NUMBER
            yield compare(f"{prefix}{name}", computed.get(name), recorded, tolerance)


def check_proposals(recording: Arrays, config: ml_collections.ConfigDict) -> Iterator[Row]:
    """Candidates and proposals of every video, and the rules by which they are made."""
    first, last, number = config.proposals.thresholds
    yield compare("meta/thresholds", np.linspace(first, last, number), recording["meta/thresholds"], SCORE)
    for video in range(len(recording["meta/lengths"])):
        refined = {name: recording[f"{video}/{name}_refined"].astype(np.float64) for name in ("rgb", "flow")}
        of_video = {name: each.mean(axis=0) for name, each in refined.items()}
        output = refined | {f"{name}_video": each for name, each in of_video.items()}
        results = {"fused_candidates": candidates(video, refined, of_video, config.proposals)}
        for name, streams in (("fused", ("rgb", "flow")), ("rgb", ("rgb",)), ("flow", ("flow",))):
            results[f"{name}_proposals"] = localize([output], streams, config.proposals)
        for name, segments in results.items():
            yield from check_rows(f"{video}/{name}", segments, recording[f"{video}/{name}"])
    yield from check_units(recording, config)


def check_rows(name: str, segments: Segments, recorded: np.ndarray) -> Iterator[Row]:
    """Class, start and end of every segment in their order, and scores."""
    rows = np.stack([segments.label, segments.start, segments.end, segments.score], axis=1)
    yield from compare_rows(name, rows, recorded, SCORE)


def check_units(recording: Arrays, config: ml_collections.ConfigDict) -> Iterator[Row]:
    """The merging of runs and the NMS of a few rows, recorded with both ends inclusive; the snippets at test time."""
    inclusive = np.array([0, 1])
    runs = [tuple((recording[f"unit/merge_{name}"] + inclusive).T) for name in ("rgb", "flow")]
    merged = np.stack(merge(runs, config.proposals.merge_limit), axis=1) - inclusive
    yield compare("unit/merge_out", merged, recording["unit/merge_out"], EQUAL)
    first, last, score = recording["unit/nms_rows"].T
    numbered = make_segments(0, np.zeros(len(first)), first, last + 1, score)
    taken = hard_nms(numbered, config.proposals.nms_limit, pixels=False)
    yield compare("unit/nms_taken", rows_of(taken, numbered), recording["unit/nms_taken"], EQUAL)
    for name, recorded in subset(recording, "sample/").items():
        places = np.asarray(even_places(int(name), config.model.test_snippets, 0.5))
        yield compare(f"sample/{name}", places[: int(name)], recorded, EQUAL)


def rows_of(taken: Segments, segments: Segments) -> np.ndarray:
    """The first row of `segments` that equals each of `taken`."""
    columns = (np.stack([each.start, each.end, each.score], axis=1) for each in (taken, segments))
    one, other = columns
    return (one[:, None] == other).all(axis=-1).argmax(axis=1)
