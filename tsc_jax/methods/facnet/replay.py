"""Computes what a recording of the published implementation holds, under the same names.

init/TENSOR is the start; in/features [B, T, D], in/labels [B, C] and in/lengths [B] are the batch, of one modality. The
rest came out. Sizes are read from the arrays. Everything runs under pmap.
"""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import ml_collections
import numpy as np

from tsc_jax.method import AXIS, Method, Sizes, TrainState
from tsc_jax.methods.facnet import torch
from tsc_jax.methods.facnet.losses import loss_terms, video_losses
from tsc_jax.methods.facnet.method import make
from tsc_jax.methods.facnet.network import Outputs, make_network
from tsc_jax.replay import gradients_of, prefixed, recorded_batch, state_of, subset, take_steps

BRANCHES = {"cw": "class_wise", "ca": "class_agnostic", "mil": "instances"}  # as recordings call them, and as we do
STEPS = "lr_wd_beta1_beta2_eps_steps"

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Setup:
    """A recording made ready to run."""

    config: ml_collections.ConfigDict  # the recipe at the recording's sizes, without dropout
    sizes: Sizes  # C and D
    params: dict  # the recorded start
    batch: dict  # the recorded batch, dealt to devices; with "keep", the recorded masks of the dropouts


def set_up(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Setup:
    """Fits the recipe to a recording; InputError where the tensors are not those of a FAC-Net."""
    tensors = subset(recording, "init/")
    config = ml_collections.ConfigDict(config.to_dict())
    config.model.update(modalities=1, embedding_width=recording["init/ac_center"].shape[-1], dropout=0.0)
    config, sizes, _ = torch.fit_recipe(config, tensors)
    method = make(config, sizes)
    params, _, _ = torch.from_tensors(tensors, *jax.eval_shape(method.init, jax.random.key(0)))
    batch = recorded_batch(*(recording[f"in/{name}"] for name in ("features", "labels", "lengths")), devices)
    if "drop/keep1" in recording:
        keep = (recording["drop/keep1"], recording["drop/keep2"])
        batch["keep"] = tuple(mask.astype(bool)[batch["order"]] for mask in keep)
    return Setup(config, sizes, params, batch)


def replay(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> dict[str, np.ndarray]:
    """Everything that a recording of a model holds, except for init_full/."""
    setup = set_up(recording, config, devices)
    outputs, _ = replay_outputs(setup)
    training, losses = replay_outputs(setup, train=True)
    computed = prefixed("eval/", outputs) | prefixed("train/", training) | prefixed("loss/", losses)
    computed |= prefixed("grad/", replay_gradients(setup))
    for branch, ours in BRANCHES.items():
        weights = {f"loss.weights.{each}": float(each == ours) for each in BRANCHES.values()}
        computed |= prefixed(f"grad_{branch}/", replay_gradients(changed(setup, **weights)))
    if "keep" in setup.batch:
        dropped = changed(setup, **{"model.dropout": config.model.dropout})
        outputs, losses = replay_outputs(dropped, masked=True)
        computed |= prefixed("drop/", outputs) | prefixed("drop/loss/", losses)
        computed |= prefixed("drop/grad/", replay_gradients(dropped, masked=True))
    for name in recording:
        if name.endswith(STEPS):
            computed |= prefixed(name.removesuffix(STEPS), replay_steps(setup, recording[name]))
    return computed


def changed(setup: Setup, **changes) -> Setup:
    """The setup with other values in its recipe."""
    config = ml_collections.ConfigDict(setup.config.to_dict())
    config.update_from_flattened_dict(changes)
    return dataclasses.replace(setup, config=config)


def method_of(setup: Setup) -> Method:
    """FAC-Net at the sizes of the recording."""
    return make(setup.config, setup.sizes, AXIS)


def start_of(setup: Setup, method: Method) -> TrainState:
    """The recorded start."""
    return state_of(method, setup.params, {})


def replay_outputs(setup: Setup, train: bool = False, masked: bool = False) -> tuple[Arrays, Arrays]:
    """The outputs and the losses of each video; `masked`: with the recorded masks of the dropouts."""
    network = make_network(setup.config.model, setup.sizes.classes)

    def call(params, batch):
        order, keep = batch["order"] if train else None, batch["keep"] if masked else None
        outputs = network.apply(params, batch["features"], batch["mask"], order, keep)
        return outputs, video_losses(outputs, batch["labels"], setup.config.loss.label_smoothing)

    parallel = jax.pmap(call, axis_name=AXIS, in_axes=(None, 0))
    dealt = jax.device_get(parallel({"params": setup.params["joint"]}, setup.batch))
    back = np.argsort(setup.batch["order"], axis=None)
    outputs, losses = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[back], dealt)
    return named_outputs(outputs), named_losses(losses, setup.config.loss.weights)


def named_outputs(outputs: Outputs) -> dict[str, np.ndarray]:
    """The outputs under the names of a recording."""
    named = {
        "embedding": outputs.embedding,
        "frm_scrs": outputs.scores,
        "fg_scrs": outputs.foreground,
        "att_class": outputs.class_attention,
        "att_fg": outputs.foreground_attention,
    }
    for theirs, ours in BRANCHES.items():
        logits = getattr(outputs, ours)
        named |= {f"{theirs}_logits": logits, f"{theirs}_pred": jax.device_get(jax.nn.softmax(logits))}
    return named


def named_losses(losses: Arrays, weights: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The losses of each video under the names of a recording, with their weighted sum."""
    total = sum(weights[name] * loss for name, loss in losses.items())
    return {theirs: losses[ours] for theirs, ours in BRANCHES.items()} | {"total": total, "sum": total.sum()}


def replay_gradients(setup: Setup, masked: bool = False) -> dict[str, np.ndarray]:
    """The gradients of the summed total; `masked`: with the recorded masks of the dropouts."""
    method = method_of(setup)
    if masked:
        method = dataclasses.replace(method, loss=functools.partial(masked_loss, setup))
    gradients, _, _ = gradients_of(method, start_of(setup, method), setup.batch)
    return torch.tensors_of(gradients)


def masked_loss(setup: Setup, params, carried, batch, key, step):
    """`Method.loss` with the recorded masks of the dropouts."""
    del key, step
    network = make_network(setup.config.model, setup.sizes.classes)
    outputs = network.apply({"params": params["joint"]}, batch["features"], batch["mask"], keep=batch["keep"])
    return loss_terms(outputs, batch["labels"], batch["mask"], setup.config.loss), carried


def replay_steps(setup: Setup, settings: np.ndarray) -> dict[str, np.ndarray]:
    """Losses and final weights of the optimizer's steps; `settings` as the recording names them in `STEPS`."""
    *values, steps = settings.tolist()
    keys = ("learning_rate", "weight_decay", "beta1", "beta2", "epsilon")
    changes = {f"optimizer.{key}": value for key, value in zip(keys, values, strict=True)}
    method = method_of(changed(setup, **changes))
    batch = {name: array for name, array in setup.batch.items() if name != "keep"}
    taken = take_steps(method, start_of(setup, method), batch, int(steps))
    final = torch.tensors_of(taken[-1][0].params)
    return {"losses": np.array([values["total"] for _, values in taken])} | prefixed("final/", final)
