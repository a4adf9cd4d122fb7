"""Runs ACN on recorded batches, and names what it computes as the recordings do."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tsc_jax.method import Method
from tsc_jax.methods.acn.confidence import coherence
from tsc_jax.methods.acn.intervals import make_intervals
from tsc_jax.methods.acn.losses import Scored, each_anchor, loss_terms, mean_confidence, regress, score, select
from tsc_jax.methods.acn.method import make_optimizer, measure, rescale
from tsc_jax.methods.acn.network import make_network
from tsc_jax.replay import gradients_of, prefixed, recorded_batch, state_of, subset, take_steps

STREAM = "joint"  # recordings of a model hold one stream
# What each recorded variant changes in the recipe.
VARIANTS = {
    "oic_only": {"confidence.terms": "contrast"},
    "coherence_only": {"confidence.terms": "coherence"},
    "inclusive": {"intervals.reading": "inclusive"},
    "quarter": {"model.dilation": "quarter"},
    "centre": {"selection.veto": "centre"},
    "outer_min_1": {"intervals.outer_min": 1.0},
}

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Setup:
    """A recording of a model, made ready."""

    config: ml_collections.ConfigDict
    batch: dict[str, np.ndarray]  # dealt to devices
    params: Any
    scp: np.ndarray  # [B, T, C]
    classes: np.ndarray  # bool [B, C]
    features: np.ndarray  # [B, T, D]
    lengths: np.ndarray  # int [B]


def changed(config: ml_collections.ConfigDict, changes: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """The recipe with other values."""
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.update_from_flattened_dict(dict(changes))
    return config


def set_up(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Setup:
    """The batch and the parameters of a recording."""
    features, scp, lengths = (recording[f"in/{name}"] for name in ("features", "scp", "lengths"))
    anchors = recording["meta/anchors"].tolist()
    sizes = {"model.modalities": 1, "model.hidden": int(recording["meta/dims"][3]), "train.batch_size": len(lengths)}
    recorded = {"intervals.anchors": tuple(anchors), "confidence.alpha": float(recording["meta/alpha"])}
    config = changed(config, sizes | recorded)
    classes = recording["in/video_score"] > config.selection.class_threshold
    batch = recorded_batch(features, classes, lengths, devices)
    return Setup(config, batch, to_params(subset(recording, "init/"), anchors), scp, classes, features, lengths)


def to_params(tensors: Arrays, anchors: list[int]) -> Any:
    """The parameters of the stream from tensors P/conv1.weight (out, in, tap), P/conv1.bias and so on."""
    return {
        STREAM: {
            f"anchor_{anchor}": {
                conv: {
                    "kernel": tensors[f"{anchor}/{conv}.weight"].transpose(2, 1, 0),
                    "bias": tensors[f"{anchor}/{conv}.bias"],
                }
                for conv in ("conv1", "conv2", "conv3")
            }
            for anchor in anchors
        }
    }


def to_tensors(params: Any) -> dict[str, np.ndarray]:
    """The inverse of `to_params`."""
    tensors = {}
    for anchor, convs in params[STREAM].items():
        for conv, leaves in convs.items():
            name = f"{anchor.removeprefix('anchor_')}/{conv}"
            tensors[f"{name}.weight"] = np.asarray(leaves["kernel"]).transpose(2, 1, 0)
            tensors[f"{name}.bias"] = np.asarray(leaves["bias"])
    return tensors


def method_of(setup: Setup) -> Method:
    """ACN for training on the recorded evidence, which takes the place of a base."""
    network, videos = make_network(setup.config, mapped=False), len(setup.lengths)

    def loss(params, carried, batch, key, step):
        scp, classes = (carried[name][batch["video"]] for name in ("scp", "classes"))
        return loss_terms(network, params, batch, scp, classes, setup.config), carried

    return Method(None, loss, make_optimizer(setup.config, videos), None, None, None, None)


def first_state(setup: Setup, method: Method):
    """The recorded start."""
    return state_of(method, setup.params, {"scp": jnp.asarray(setup.scp), "classes": jnp.asarray(setup.classes)})


def replay_outputs(setup: Setup) -> dict[str, np.ndarray]:
    """Regressors' outputs, intervals, their terms, the selection, the loss of each video and bounds' gradients."""
    regressed, scored, kept = make_run(setup)(setup.params)
    exists, anchors = np.asarray(scored.intervals.exists), setup.config.intervals.anchors
    inside = np.arange(regressed.shape[1]) < setup.lengths[:, None]
    listed = functools.partial(in_order, exists)
    of_bounds = bounds_gradient(setup, scored, kept)
    outputs = {f"out/{anchor}/regress": regressed[:, :, i] * inside[..., None] for i, anchor in enumerate(anchors)}
    sizes = np.broadcast_to(np.array(anchors)[None, :, None], exists.shape)
    columns = {name: getattr(scored.intervals, name) for name in ("start", "end", "outer_start", "outer_end")}
    columns |= {name: getattr(scored, name) for name in ("outer", "inner", "coherence")}
    columns |= {"anchor": sizes, "oic": scored.outer - scored.inner}
    outputs |= {f"out/{name}": listed(np.asarray(array)) for name, array in columns.items()}
    outputs |= prefixed("out/", of_classes(scored, kept))
    of_videos = np.asarray(mean_confidence(scored.confidence, kept))
    return (
        outputs
        | {"out/count": exists.sum(axis=(1, 2)), "loss/video": of_videos}
        | {f"grad_bounds/{name}": listed(np.asarray(array)) for name, array in of_bounds.items()}
    )


def make_run(setup: Setup) -> Callable[[Any], tuple[np.ndarray, Scored, np.ndarray]]:
    """`run(params)`, compiled once: the regressors' outputs [B, T, A, 2], the scored intervals, and those kept."""
    config, network = setup.config, make_network(setup.config, mapped=False)

    @jax.jit
    def call(params, features, scp, mask):
        regressed = regress(network, params[STREAM], features, scp, mask, config.model.input)
        scored = score(make_intervals(regressed, jnp.sum(mask, axis=1), config.intervals), features, scp, config)
        return regressed, scored, select(scored, scp, jnp.asarray(setup.classes), config)

    mask = np.arange(setup.features.shape[1]) < setup.lengths[:, None]
    return lambda params: jax.device_get(call(params, setup.features, setup.scp, mask))


def of_classes(scored: Scored, kept: np.ndarray) -> dict[str, np.ndarray]:
    """The confidence and the selection of the intervals that exist [B, N, C]."""
    exists, by_class = np.asarray(scored.intervals.exists), {"confidence": scored.confidence, "kept": kept}
    return {name: in_order(exists, np.moveaxis(array, 1, -1)) for name, array in by_class.items()}


def bounds_gradient(setup: Setup, scored: Scored, kept: np.ndarray) -> dict[str, np.ndarray]:
    """The gradient of the loss for the ends of the intervals, with the far ends of their flanks held."""
    intervals = jax.tree.map(jnp.asarray, scored.intervals)

    def loss(start, end):
        moved = intervals._replace(start=start, end=end)
        again = score(moved, jnp.asarray(setup.features), jnp.asarray(setup.scp), setup.config)
        return -jnp.mean(mean_confidence(again.confidence, kept))

    gradients = jax.jit(jax.grad(loss, (0, 1)))(intervals.start, intervals.end)
    return dict(zip(("start", "end"), gradients, strict=True))


def in_order(exists: np.ndarray, array: np.ndarray) -> np.ndarray:
    """The intervals that exist, anchors in order, then by time: [B, A, T, ...] -> [B, N, ...], padded with zeros."""
    counts = exists.sum(axis=(1, 2))
    rows = np.zeros((len(array), counts.max(initial=0), *array.shape[3:]), array.dtype)
    for video, count in enumerate(counts):
        rows[video, :count] = array[video][exists[video]]
    return rows


def replay_gradient(setup: Setup) -> dict[str, np.ndarray]:
    """The loss and its gradient, over all devices of the batch."""
    method = method_of(setup)
    gradients, values, _ = gradients_of(method, first_state(setup, method), setup.batch)
    return prefixed("grad/", to_tensors(gradients)) | {"loss/total": values["total"]}


def replay_variant(setup: Setup, name: str) -> dict[str, np.ndarray]:
    """Loss, confidences, selection and gradients under one of VARIANTS."""
    setup = dataclasses.replace(setup, config=changed(setup.config, VARIANTS[name]))
    _, scored, kept = make_run(setup)(setup.params)
    gradient = replay_gradient(setup)
    named = of_classes(scored, kept) | {"loss": gradient.pop("loss/total")}
    return prefixed(f"variant/{name}/", named | gradient)


def replay_steps(setup: Setup, name: str, rates: np.ndarray) -> dict[str, np.ndarray]:
    """Steps of SGD with the whole batch; one is an epoch, so each has a rate of its own."""
    changes = {"optimizer.learning_rate": 1.0, "optimizer.epoch_factors": tuple(rates.tolist())}
    setup = dataclasses.replace(setup, config=changed(setup.config, changes))
    method = method_of(setup)
    start = first_state(setup, method)
    taken = take_steps(method, start, setup.batch, len(rates))
    before = [start.params, *(state.params for state, _ in taken[:-1])]
    run = make_run(setup)
    counts = [run(params)[2].sum(axis=(1, 2, 3)) for params in before]
    final, first = to_tensors(taken[-1][0].params), to_tensors(setup.params)
    moved = {f"final/{tensor}": np.float64(final[tensor]) - first[tensor] for tensor in final}
    losses = np.array([values["total"] for _, values in taken])
    return prefixed(f"{name}/", {"losses": losses, "kept_counts": np.array(counts)} | moved)


def replay_scale(setup: Setup, labels: np.ndarray, attention: np.ndarray) -> dict[str, np.ndarray]:
    """The scale of evidence and attention with the batch as the training set."""
    outputs = [
        {"probabilities": np.pad(setup.scp[video, :length], ((0, 0), (0, 1))), "attention": attention[video, :length]}
        for video, length in enumerate(setup.lengths)
    ]
    scale = measure(outputs, list(labels.astype(bool)), setup.config, 1)
    inside = np.arange(setup.scp.shape[1]) < setup.lengths[:, None]
    return {
        "scale/scp_low_high": np.array([scale["low"], scale["high"]]),
        "scale/scp": np.asarray(rescale(setup.scp, scale)) * inside[..., None],
        "scale/attention_median": scale["theta"][0],
    }


def coherence_of_videos(features: list[np.ndarray], regressed: list[np.ndarray], settings) -> list[np.ndarray]:
    """The coherence [T, A] of the intervals of each video, from features [T, D] and regressors' outputs [T, A, 2]."""
    lengths = np.array([len(each) for each in features])

    def padded(arrays: list[np.ndarray]) -> np.ndarray:
        rows = np.zeros((len(arrays), lengths.max(), *arrays[0].shape[1:]), np.float32)
        for row, array in zip(rows, arrays, strict=True):
            row[: len(array)] = array
        return rows

    @jax.jit
    def call(features, regressed, lengths):
        intervals = make_intervals(regressed, lengths, settings)
        return each_anchor(lambda own: coherence(features, own, settings), intervals)

    alike = np.moveaxis(np.asarray(call(padded(features), padded(regressed), lengths)), 1, -1)
    return [rows[:length] for rows, length in zip(alike, lengths, strict=True)]
