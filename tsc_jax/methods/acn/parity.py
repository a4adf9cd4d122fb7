"""Compares ACN with recordings of an independent reference; its authors published no code."""

from collections.abc import Iterator

import jax.numpy as jnp
import ml_collections
import numpy as np

from tsc_jax.localization.nms import hard_nms
from tsc_jax.localization.segments import Segments, concatenate, make_segments
from tsc_jax.methods.acn import replay
from tsc_jax.methods.acn.confidence import integral
from tsc_jax.methods.acn.intervals import Intervals, alive
from tsc_jax.methods.acn.localize import candidates, fuse, make_integral
from tsc_jax.methods.acn.selection import winners
from tsc_jax.parity import EQUAL, Arrays, Row, Tolerance, compare

# Names of arrays of which every recording of this method, and of no other, holds one.
MARKS = ("out/coherence", "unit/select/kept_class_1_only")

CLOSE = Tolerance(relative=1e-5)


def check_model(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Iterator[Row]:
    """Outputs, selection, loss, gradients, steps of SGD, variants and the scale of evidence."""
    setup = replay.set_up(recording, config, devices)
    computed = replay.replay_outputs(setup) | replay.replay_gradient(setup)
    for name in replay.VARIANTS:
        computed |= replay.replay_variant(setup, name)
    for name in ("sgd", "sgd_large"):
        computed |= replay.replay_steps(setup, name, recording[f"{name}/rates"])
    computed |= replay.replay_scale(setup, recording["scale/labels"], recording["in/attention"])
    for name, recorded in recording.items():
        if name.startswith(("in/", "init/", "meta/")) or name.endswith("/rates") or name == "scale/labels":
            continue
        group, _, tensor = name.partition("/final/")
        if tensor:
            # Weights are compared by how they move. In float32 each step rounds them, by more than 1e-5 of the move.
            init = recording[f"init/{tensor}"]
            rounding = 2.0**-24 * float(np.abs(init).max()) * len(recording[f"{group}/rates"])
            yield compare(name, computed.get(name), recorded - init, Tolerance(relative=1e-5, absolute=rounding))
        elif name.startswith("grad_bounds/"):
            # The recordings hold the far ends of the flanks (their README says that these move along; the gradients of
            # the weights show that they do). At the ends of a video the integrals have a kink, and any value is right.
            inside = unclipped(recording)[name.removeprefix("grad_bounds/")]
            yield compare(name, np.where(inside, computed[name], 0), np.where(inside, recorded, 0), CLOSE)
        else:
            yield compare(name, computed.get(name), recorded, EQUAL if recorded.dtype.kind in "bi" else CLOSE)


def unclipped(recording: Arrays) -> dict[str, np.ndarray]:
    """Which starts and ends of the recorded intervals lie inside of their videos."""
    lengths = recording["in/lengths"][:, None]
    return {"start": recording["out/start"] > 0, "end": recording["out/end"] < lengths}


def check_proposals(recording: Arrays, config: ml_collections.ConfigDict) -> Iterator[Row]:
    """Candidates, proposals and fused proposals of every video, and the functions that they are made by."""
    anchors = tuple(recording["meta/anchors"].tolist())
    config = replay.changed(config, {"intervals.anchors": anchors})
    videos, ends = range(len(recording["meta/lengths"])), {}
    for stream, theta in zip(("rgb", "flow"), recording["meta/theta_rgb_flow"], strict=True):
        outputs = outputs_of(recording, stream, config)
        for video in videos:
            scores = recording[f"{video}/{stream}_video_score"]
            classes = np.flatnonzero(scores > config.selection.class_threshold)
            centre = replay.changed(config, replay.VARIANTS["centre"])
            found = candidates(0, outputs[video] | {"theta": theta}, classes, config)
            of_centre = candidates(0, outputs[video] | {"theta": theta}, classes, centre)
            everywhere = candidates(0, outputs[video] | {"theta": -np.inf}, classes, config)
            ends[stream, video] = suppress(found, config)
            named = {"candidates": found, "proposals": ends[stream, video]}
            named |= {"proposals_centre": suppress(of_centre, config)}
            named |= {"proposals_all_attention": suppress(everywhere, config)}
            for kind, segments in named.items():
                yield from compare_rows(f"{video}/{stream}_{kind}", segments, recording[f"{video}/{stream}_{kind}"])
    for video in videos:
        fused = fuse(ends["flow", video], ends["rgb", video], config.proposals)
        yield from compare_rows(f"{video}/fused", fused, recording[f"{video}/fused"])
    yield from check_nms(recording, config)
    yield from check_fusion(recording, config)
    yield from check_selection(recording, config)
    yield from check_integral(recording)


def outputs_of(recording: Arrays, stream: str, config: ml_collections.ConfigDict) -> list[dict[str, np.ndarray]]:
    """What `candidates` reads, per video; without theta."""

    def of_videos(name: str) -> list[np.ndarray]:
        return [recording[f"{video}/{stream}_{name}"] for video in range(len(recording["meta/lengths"]))]

    regressed = [each.swapaxes(0, 1) for each in of_videos("regress")]
    alike = replay.coherence_of_videos(of_videos("features"), regressed, config.intervals)
    columns = {"regressed": regressed, "coherence": alike, "scp": of_videos("scp"), "attention": of_videos("attention")}
    return [dict(zip(columns, each, strict=True)) for each in zip(*columns.values(), strict=True)]


def suppress(segments: Segments, config: ml_collections.ConfigDict) -> Segments:
    """The proposals among candidates."""
    return hard_nms(segments, config.proposals.nms_limit, pixels=False)


def compare_rows(name: str, segments: Segments, recorded: np.ndarray) -> Iterator[Row]:
    """Compares segments with recorded rows (class, start, end, score): classes and their order, then the numbers."""
    rows = np.stack([segments.label, segments.start, segments.end, segments.score], axis=1)
    yield compare(f"{name} classes", rows[:, 0], recorded[:, 0], EQUAL)
    yield compare(f"{name} bounds", rows[:, 1:3], recorded[:, 1:3], CLOSE)
    yield compare(f"{name} scores", rows[:, 3], recorded[:, 3], CLOSE)


def check_nms(recording: Arrays, config: ml_collections.ConfigDict) -> Iterator[Row]:
    """NMS of equal scores, of equal segments, and of overlaps exactly at the limit."""
    for name in ("nms", "nms_edge", "nms_empty"):
        rows = recording.get(f"unit/{name}/rows", np.zeros((0, 3)))
        taken = suppress(make_segments(0, 0, *rows.T), config)
        computed = np.stack([taken.start, taken.end, taken.score], axis=1)
        yield compare(f"unit/{name}/taken", computed, rows[recording[f"unit/{name}/taken"]], EQUAL)


def check_fusion(recording: Arrays, config: ml_collections.ConfigDict) -> Iterator[Row]:
    """The fusion of given proposals, also where one stream has none."""

    def segments(rows: np.ndarray) -> Segments:
        return make_segments(0, *rows[np.argsort(rows[:, 0], kind="stable")].T)

    flow, rgb, none = *(segments(recording[f"unit/fuse/{name}"]) for name in ("flow", "rgb")), concatenate([])
    for name, pair in {"out": (flow, rgb), "out_no_flow": (none, rgb), "out_no_rgb": (flow, none)}.items():
        yield from compare_rows(f"unit/fuse/{name}", fuse(*pair, config.proposals), recording[f"unit/fuse/{name}"])


def check_selection(recording: Arrays, config: ml_collections.ConfigDict) -> Iterator[Row]:
    """Which of given intervals [N] may be kept, and which win a snippet; they stand for those of one anchor."""
    given = {name: recording[f"unit/select/{name}"] for name in ("scp", "start", "end", "confidence")}
    start, end, scp = given["start"][None, None], given["end"][None, None], given["scp"][None]
    intervals = Intervals(start, end, start, end, np.ones(start.shape, bool))
    confidence = given["confidence"].T[None, :, None]
    for name, own in (("alive", config), ("alive_centre", replay.changed(config, replay.VARIANTS["centre"]))):
        possible = alive(intervals, scp, own)
        yield compare(f"unit/select/{name}", possible[0, :, 0].T, recording[f"unit/select/{name}"], EQUAL)
    possible = alive(intervals, scp, config)
    second = np.arange(confidence.shape[1])[None, :, None, None] == 1
    for name, those in (("kept", possible), ("kept_class_1_only", possible & second)):
        in_jax = (jnp.asarray(confidence), jnp.asarray(those), Intervals(*map(jnp.asarray, intervals)))
        won = winners(*in_jax, scp.shape[1], config.intervals)
        yield compare(f"unit/select/{name}", np.asarray(won)[0, :, 0].T, recording[f"unit/select/{name}"], EQUAL)


def check_integral(recording: Arrays) -> Iterator[Row]:
    """The integral of a staircase, as at test and as in training."""
    track, start, end, value = (recording[f"unit/integral/{name}"] for name in ("track", "a", "b", "value"))
    at_test = make_integral(track[:, None], np.zeros(len(start), int))(start, end)
    in_training = integral(*(jnp.asarray(array[None], jnp.float32) for array in (track[:, None], start, end)))
    yield compare("unit/integral/value at test", at_test[:, 0], value, EQUAL)
    yield compare("unit/integral/value in training", in_training[0, :, 0], value, CLOSE)
