"""Computes the quantities of a recording of GRN, under the same names; sizes are read from the arrays.

A recording holds one stream: init/TENSOR is the start, in/features [B, T, D], in/labels [B, C] and in/lengths [B] are
the batch. PyTorch's layouts: a convolution is (out, in, taps), a linear map (out, in).
"""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tsc_jax import replay
from tsc_jax.method import AXIS, Method, Sizes, TrainState
from tsc_jax.methods.grn.losses import losses, pseudo_affinities, pseudo_labels
from tsc_jax.methods.grn.method import make
from tsc_jax.methods.grn.network import make_network
from tsc_jax.nn import graph
from tsc_jax.replay import Arrays

LAYERS = 3  # of the graph module
LINEAR = {"fc1": "hidden", "fc2": "logits"}  # layers of the class module, as recordings call them

# Each variant of a recording with the options that it changes.
VARIANTS = {
    "topk": {"model.pool": "topk"},
    "sum_mu_0.1": {"graph.laplacian": "sum", "graph.strength": 0.1},
    "median": {"graph.bandwidth": "median"},
    "no_embedding": {"model.embedding": False},
    "no_graph": {"graph.refine": False},
    "low_background": {"loss.low": "background"},
    "tau_range": {"loss.tau_scale": "range", "loss.tau_high": 0.6, "loss.tau_low": 0.3},
    "norm_video": {"model.norm": "video"},
}


def configure(recording: Arrays, config: ml_collections.ConfigDict, **changes) -> ml_collections.ConfigDict:
    """The recipe at the sizes and constants of a recording, with one stream."""
    strength, weight, high, low = recording["meta/mu_lambda_tauhigh_taulow"].tolist()
    config = ml_collections.ConfigDict(config.to_dict())
    config.update_from_flattened_dict(
        {
            "model.modalities": 1,
            "model.hidden": len(recording["init/fc1.weight"]),
            "model.channels": tuple(len(recording[f"init/conv{i}.weight"]) for i in range(1, LAYERS + 1)),
            "model.kernel": recording["init/conv1.weight"].shape[2],
            "model.class_bias": "init/fc2.bias" in recording,
            "graph.strength": strength,
            "loss.tau_high": high,
            "loss.tau_low": low,
            "loss.weights.classification": weight,
        }
        | changes
    )
    return config


def sizes_of(recording: Arrays) -> Sizes:
    """The sizes of the recorded data."""
    return Sizes(recording["in/labels"].shape[1], recording["in/features"].shape[2])


def batch_of(recording: Arrays, devices: int) -> dict:
    """The recorded batch, dealt to devices; rows without a video fill it up."""
    videos = len(recording["in/lengths"])
    rows = -(-videos // devices) * devices - videos

    def filled(name: str) -> np.ndarray:
        array = recording[f"in/{name}"]
        return np.pad(array, [(0, rows)] + [(0, 0)] * (array.ndim - 1))

    batch = replay.recorded_batch(filled("features"), filled("labels"), filled("lengths"), devices)
    return batch | {"video": np.where(batch["order"] < videos, batch["video"], -1).astype(np.int32)}


def state_of(recording: Arrays, config, method: Method) -> TrainState:
    """The train state before the first step."""
    params, carried = to_ours(replay.subset(recording, "init/"), config.model)
    return replay.state_of(method, params, carried)


def to_ours(tensors: Arrays, model) -> tuple[dict, dict]:
    """The params and what is carried from recorded tensors; `model` is `config.model`."""
    kernel = {ours: {"kernel": tensors[f"{theirs}.weight"].T} for theirs, ours in LINEAR.items()}
    for theirs, ours in LINEAR.items():
        kernel[ours] |= {"bias": tensors[f"{theirs}.bias"]} if f"{theirs}.bias" in tensors else {}
    params, statistics = {"class_module": kernel}, {}
    if model.embedding:
        params["graph_module"] = {}
        for i in range(1, LAYERS + 1):
            norm = {name: tensors[f"norm{i}.{name}"] for name in ("weight", "bias", "mean", "var")}
            params["graph_module"] |= {
                f"conv{i}": {"kernel": tensors[f"conv{i}.weight"].T},
                f"norm{i}": {"scale": norm["weight"], "bias": norm["bias"]},
            }
            statistics[f"norm{i}"] = {"mean": norm["mean"], "var": norm["var"]}
    if not model.embedding or model.norm == "video":
        return {"joint": params}, {"joint": {}}
    return {"joint": params}, {"joint": {"graph_module": statistics}}


def to_theirs(params: dict, carried: dict) -> dict[str, np.ndarray]:
    """The tensors of params, or of their gradients, and of what is carried under their recorded names."""
    params, tensors = jax.device_get(params["joint"]), {}
    for theirs, ours in LINEAR.items():
        layer = params["class_module"][ours]
        tensors[f"{theirs}.weight"] = layer["kernel"].T
        tensors |= {f"{theirs}.bias": layer["bias"]} if "bias" in layer else {}
    for name, layer in params.get("graph_module", {}).items():
        if "kernel" in layer:
            tensors[f"{name}.weight"] = layer["kernel"].T
        else:
            tensors |= {f"{name}.weight": layer["scale"], f"{name}.bias": layer["bias"]}
    return tensors | running(carried)


def running(carried: dict) -> dict[str, np.ndarray]:
    """The running statistics under their recorded names."""
    statistics = jax.device_get(carried["joint"]).get("graph_module", {})
    return {f"{name}.{kind}": array for name, layer in statistics.items() for kind, array in layer.items()}


def outputs_of(recording: Arrays, config, devices: int, train: bool) -> dict[str, np.ndarray]:
    """Maps, losses and pseudo labels of the recorded batch, and the running statistics after it (without prefix)."""
    sizes, batch = sizes_of(recording), batch_of(recording, devices)
    network = make_network(config, sizes.classes, AXIS)
    (params, carried), weights = to_ours(replay.subset(recording, "init/"), config.model), config.loss.weights

    def call(variables, batch: dict) -> tuple[dict, dict]:
        mask, labels = batch["mask"], batch["labels"]
        stream, new = network.apply(variables, batch["features"], mask, train=train, mutable=["batch_stats"])
        of_kind = losses(stream, labels, mask, config.loss)
        pseudo = pseudo_labels(stream.scores, labels, mask, config.loss)
        return vars(stream) | {
            "loss_aff": of_kind["affinity"],
            "loss_cls": of_kind["classification"],
            "loss_total": sum(weights[kind] * values for kind, values in of_kind.items()),
            "active": pseudo.active,
            "z": jnp.where(mask, pseudo.label, -1),
            "star": pseudo_affinities(pseudo)[0],
        }, new

    variables = {"params": params["joint"], "batch_stats": carried["joint"]}
    parallel = jax.pmap(call, axis_name=AXIS, in_axes=(None, 0), out_axes=(0, None))
    of_videos, new = jax.device_get(parallel(variables, batch))
    back = np.argsort(batch["order"], axis=None)[: len(recording["in/lengths"])]
    outputs = {name: array.reshape(-1, *array.shape[2:])[back] for name, array in of_videos.items()}
    return outputs | running({"joint": new.get("batch_stats", {})})


def gradients_of(recording: Arrays, config, devices: int) -> tuple[dict[str, np.ndarray], float]:
    """The gradients of the mean loss over videos in training mode, and that loss."""
    method = make(config, sizes_of(recording), AXIS)
    batch = batch_of(recording, devices)
    gradients, values, _ = replay.gradients_of(method, state_of(recording, config, method), batch)
    return to_theirs(gradients, {"joint": {}}), values["total"]


def steps_of(recording: Arrays, config, rates: np.ndarray, devices: int) -> dict[str, np.ndarray]:
    """The losses before each step, and the tensors after all of them, without prefix.

    `rates` [steps, 2] holds the learning rates of the class module, which is constant, and of the graph module, which
    is constant after steps of rate 0.
    """
    of_class, of_graph = rates.T
    held = int(np.count_nonzero(of_graph == 0))
    changes = {"learning_rate": of_class[0], "graph_after": held, "graph_factor": of_graph[-1] / of_class[0]}
    config = ml_collections.ConfigDict(config.to_dict())
    config.optimizer.update(changes)
    method = make(config, sizes_of(recording), AXIS)
    taken = replay.take_steps(method, state_of(recording, config, method), batch_of(recording, devices), len(rates))
    kinds = ("joint/affinity", "joint/classification", "total")
    final, _ = taken[-1]
    losses_before = np.array([[values[kind] for kind in kinds] for _, values in taken])
    return {"losses": losses_before} | replay.prefixed("final/", to_theirs(final.params, final.carried))


def wrapped(features: np.ndarray, maps: np.ndarray, upstream: np.ndarray) -> dict[str, np.ndarray]:
    """The refinement of a map [T, K] over features [T, D], and the gradients of sum(refined * upstream)."""
    mask = jnp.ones((1, len(features)), bool)

    def refined(features: jax.Array, maps: jax.Array) -> tuple[jax.Array, dict]:
        distances = graph.squared_distances(features, mask)
        affinity = graph.affinities(features, mask, "median")
        result = graph.refine(affinity, maps, mask, 1.0, "mean")
        scale = graph.bandwidths(distances, mask, features.shape[-1], "median")
        return jnp.sum(result * upstream[None]), {"two_eps_squared": scale, "affinity": affinity, "refined": result}

    both = jax.grad(refined, argnums=(0, 1), has_aux=True)(features[None], maps[None])
    (of_features, of_map), outputs = jax.device_get(both)
    outputs |= {"grad_features": of_features, "grad_map": of_map}
    return {name: array[0] for name, array in outputs.items()}
