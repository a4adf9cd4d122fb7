"""Computes the quantities of a recording of the published PyTorch implementation, under the same names.

A recording maps names to arrays: init/TENSOR is the start, in/ holds B videos. Sizes and settings are read from its
arrays. Gradients and steps of the optimizer are those of the train step, on several devices where wanted.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tsc_jax.data.dataset import Split, Video
from tsc_jax.data.sampling import steps_within
from tsc_jax.inference import Look
from tsc_jax.method import AXIS, Method, Sizes, TrainState
from tsc_jax.methods.rskp import torch
from tsc_jax.methods.rskp.losses import loss_terms
from tsc_jax.methods.rskp.memory import Memory, empty_memory, put, read_and_put
from tsc_jax.methods.rskp.method import losses_of, make
from tsc_jax.methods.rskp.network import RSKP, fuse, make_network
from tsc_jax.methods.rskp.walk import assign, expectation_maximization, spread
from tsc_jax.nn.cosine import Scores
from tsc_jax.replay import gradients_of, prefixed, recorded_batch, state_of, take_steps

Arrays = Mapping[str, np.ndarray]

# Names of the losses in recordings.
TERMS = {
    "fore_o": "main/class_agnostic",
    "fore_m": "intra/class_agnostic",
    "back_o": "main/class_specific",
    "back_m": "intra/class_specific",
    "att": "attention",
    "spl": "pseudo_labels",
    "fore_r": "inter/class_agnostic",
    "back_r": "inter/class_specific",
}
NEVER = 2**20  # epochs of the first phase where there is no second one


@dataclasses.dataclass(frozen=True)
class Videos:
    """Some videos, padded."""

    features: np.ndarray  # float32 [B, T, D]
    lengths: np.ndarray  # int [B], in snippets
    labels: np.ndarray  # [B, C]

    def __getitem__(self, rows: np.ndarray | slice) -> "Videos":
        """The videos at `rows`."""
        return Videos(self.features[rows], self.lengths[rows], self.labels[rows])

    def batch(self, devices: int = 1) -> dict[str, np.ndarray]:
        """A batch as the train step takes it, filled up with empty rows that the devices divide."""
        videos, missing = len(self.features), -len(self.features) % devices
        arrays = (np.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1)) for array in vars(self).values())
        features, lengths, labels = arrays
        batch = recorded_batch(features, labels, lengths, devices)
        return batch | {"video": np.where(batch["order"] < videos, batch["order"], -1)}


@dataclasses.dataclass(frozen=True)
class Setup:
    """A recording made ready to run."""

    config: ml_collections.ConfigDict  # the recipe with the sizes and settings of the recording
    sizes: Sizes
    videos: Videos
    devices: int

    def method(self, phase: int) -> Method:
        """RSKP with all videos in one phase, and one step per epoch."""
        return make(changed(self.config, {"memory.warmup_epochs": 0 if phase == 2 else NEVER}), self.sizes, AXIS)

    def params(self, tensors: Arrays) -> Any:
        """The network's parameters from recorded tensors."""
        template = jax.eval_shape(self.method(1).init, jax.random.key(0))
        return torch.from_tensors(tensors, *template)[0]

    def empty_memory(self) -> Memory:
        """A memory without prototypes."""
        return empty_memory(self.sizes.classes, self.config.memory.slots, self.config.model.embedding)


def set_up(recording: Arrays, config: ml_collections.ConfigDict, devices: int) -> Setup:
    """Fits the published recipe to the sizes and settings of a recording."""
    size = dict(zip(recording["meta/dims_names"].tolist(), recording["meta/dims"].tolist(), strict=True))
    value = dict(zip(recording["meta/hyper_names"].tolist(), recording["meta/hyper"].tolist(), strict=True))
    _, *pseudo_labels = recording["meta/steps_lambda_s"].tolist()
    videos = Videos(*(recording[f"in/{name}"] for name in ("features", "lengths", "labels")))
    changes = {
        "model": {"embedding": size["D"], "prototypes": size["K"], "em_rounds": int(value["em_iter"])}
        | {"scale": value["scale_factor"], "walk_weight": value["w"], "dropout": value["dropout"]},
        "memory": {"slots": size["S"], "labels": int(videos.labels.sum(axis=1).max())},
        "loss": {"temperature": value["T"]},
        "loss.weights": {"class_specific": value["lambda_b"], "attention": value["lambda_a"]}
        | {f"pseudo_labels_{phase}": weight for phase, weight in enumerate(pseudo_labels, 1)},
        "optimizer": {"learning_rate": value["lr"], "weight_decay": value["weight_decay"]}
        | {beta: value[beta] for beta in ("beta1", "beta2")},
        "train": {"batch_size": size["B"]},
    }
    flat = {f"{section}.{key}": each for section, keys in changes.items() for key, each in keys.items()}
    snippets = int(videos.lengths.sum())
    return Setup(changed(config, flat), Sizes(size["C"], size["F"], size["B"], snippets), videos, devices)


def changed(config: ml_collections.ConfigDict, changes: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """A copy of a recipe with other values."""
    config = ml_collections.ConfigDict(config.to_dict())
    config.update_from_flattened_dict(changes)
    return config


# One pass over some videos, each in its phase.


def network_of(setup: Setup) -> RSKP:
    """The network at the sizes of the recording."""
    return make_network(setup.config.model, setup.sizes.classes)


def losses_of_videos(
    setup: Setup, params: Any, memory: Memory, batch: Arrays, second: np.ndarray, kept: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], Any]:
    """Each term of each video [B] with "total", and the gradient of the sum of the totals.

    `second` bool [B] tells the videos in the second phase; `kept` bool [B, T, E] the entries that dropout leaves.
    """
    config, network = setup.config, network_of(setup)

    def total(params):
        x = embedded(setup, params, batch, kept)
        losses, _ = losses_of(network, {"params": params}, x, batch, second, memory, config, most(setup), None)
        totals = jax.vmap(total_of_video)(losses, second)
        return jnp.sum(totals), losses | {"total": totals}

    def total_of_video(losses, second):
        losses, one = jax.tree.map(lambda loss: loss[None], losses), jnp.ones(1, bool)
        terms = loss_terms(losses, one, second[None], config.loss.weights)
        return sum(term.weight * term.sum for term in terms.values())

    gradients, losses = jax.device_get(jax.jit(jax.grad(total, has_aux=True))(params))
    published = {name: losses[ours] for name, ours in TERMS.items()} | {"total": losses["total"]}
    return published, torch.tensors_of(gradients)


def embedded(setup: Setup, params: Any, batch: Arrays, kept: np.ndarray | None = None) -> jax.Array:
    """The embedded snippets [B, T, E] after the recorded dropout, if there is one."""
    x = network_of(setup).apply({"params": params}, batch["features"], batch["mask"], method=RSKP.embed)
    return x if kept is None else jnp.where(kept, x / (1 - setup.config.model.dropout), 0)


def most(setup: Setup) -> int:
    """The largest number of classes of a video."""
    return setup.config.memory.labels


def puts(
    setup: Setup, params: Any, memory: Memory, batch: Arrays, second: np.ndarray
) -> tuple[Memory, dict[str, np.ndarray]]:
    """The memory after the videos in the second phase, and as recordings hold it after each of their puts."""
    branches = network_of(setup).apply({"params": params}, batch["features"], batch["mask"])

    def step(memory, video):
        memory = put(memory, *video, most(setup))
        return memory, memory

    videos = (branches.prototypes, branches.prototype_scores, batch["labels"] & second[:, None])
    memory, after = jax.jit(lambda memory, videos: jax.lax.scan(step, memory, videos))(memory, videos)
    return memory, {"mu": np.asarray(after.prototypes)[second], "score": np.asarray(after.scores)[second]}


# The groups of a recording.


def outputs(setup: Setup, params: Any, videos: Videos) -> dict[str, np.ndarray]:
    """All that inference computes, without dropout."""
    config, network, batch = setup.config.model, network_of(setup), alone(videos.batch())
    mask, x = batch["mask"], embedded(setup, params, batch)
    branches = network.apply({"params": params}, x, mask, method=RSKP.branches)
    em = (params["prototypes"], x, mask, config.assignment_scale)
    cas, scores = fuse(branches.main, branches.intra, config.main_weight)
    valid = np.ones(branches.prototypes.shape[:2], bool)
    named = {"x": x, "mu": branches.prototypes, "mu_pred": branches.prototype_scores, "refined_x": branches.walked}
    named["walk_z"] = assign(branches.prototypes, valid, x, mask, config.assignment_scale)
    named |= {f"em_z{i}": z for i, z in enumerate(expectation_maximization(*em, config.em_rounds)[1], 1)}
    named |= {f"mu_after_{i}": expectation_maximization(*em, i)[0] for i in range(1, config.em_rounds)}
    named |= branch("o_", branches.main, mask) | branch("m_", branches.intra, mask)
    named |= {"vid_pred": scores, "frm_pred": masked(cas, mask)}
    for video, length in enumerate(videos.lengths):
        z = named["walk_z"][[video], :, :length]
        named[f"walk_inverse_of_video_{video}"] = spread(z, jnp.eye(length)[None], config.walk_weight)[0]
    return {name: np.asarray(array) for name, array in named.items()}


def branch(prefix: str, scores: Scores, mask: np.ndarray) -> dict[str, jax.Array]:
    """The scores of a branch as recordings hold them."""
    videos = {"ca": jax.nn.softmax(scores.agnostic), "cw": jax.nn.softmax(scores.specific)}
    snippets = {"att": masked(scores.attention, mask), "logits": masked(scores.cas, mask)}
    return {f"{prefix}{name}": array for name, array in (videos | snippets).items()}


def masked(x: jax.Array, mask: np.ndarray) -> jax.Array:
    """Zeros where there is no snippet: [B, T, ...]."""
    return jnp.where(mask.reshape(*mask.shape, *[1] * (x.ndim - 2)), x, 0)


def alone(batch: Arrays) -> dict[str, np.ndarray]:
    """The share of the only device."""
    return {name: array[0] for name, array in batch.items()}


def filled_memory(setup: Setup, params: Any, videos: Videos, method: Method, step: int) -> Memory:
    """The memory after the refresh of `step`, which shows the videos in their order."""
    arrays = zip(videos.features, videos.lengths, videos.labels.astype(bool), strict=True)
    features, shown = [], []
    for number, (array, length, labels) in enumerate(arrays):
        features.append(array[:length].astype(np.float32))
        shown.append(Video(str(number), int(length), 0.0, labels, np.zeros((0, 2)), np.zeros(0, np.int64)))
    look = Look(Split(tuple(shown), np.arange(len(shown)), features.__getitem__), 0, 8192)
    return method.refresh(params, {"memory": setup.empty_memory()}, look, step)[1]["memory"]


def as_recorded(memory: Memory) -> dict[str, np.ndarray]:
    """The memory under the names of recordings."""
    return {"mu": np.asarray(memory.prototypes), "score": np.asarray(memory.scores)}


def inter_branch(setup: Setup, params: Any, memory: Memory) -> dict[str, np.ndarray]:
    """The inter-video branch of every video, and the logits of the others."""
    network, batch = network_of(setup), alone(setup.videos.batch())
    mask, x = batch["mask"], embedded(setup, params, batch)
    variables = {"params": params}
    branches = network.apply(variables, x, mask, method=RSKP.branches)
    videos = (branches.prototypes, branches.prototype_scores, batch["labels"])
    _, read = read_and_put(memory, *videos, most(setup))
    named = branch("", network.apply(variables, x, mask, *read, method=RSKP.inter), mask)
    named["x"] = masked(network.apply(variables, x, mask, *read, method=RSKP.walk), mask)
    named |= {"main_logits": masked(branches.main.cas, mask), "intra_logits": masked(branches.intra.cas, mask)}
    return {name: np.asarray(array) for name, array in named.items()}


def term_gradients(setup: Setup, params: Any, memory: Memory, phase: int) -> dict[str, np.ndarray]:
    """The gradient of the sum over the videos of each unweighted term, as TERM/TENSOR."""
    config, network, batch = setup.config, network_of(setup), alone(setup.videos.batch())
    second = np.full(len(batch["order"]), phase == 2)

    def sums(params):
        x = embedded(setup, params, batch)
        losses, _ = losses_of(network, {"params": params}, x, batch, second, memory, config, most(setup), None)
        return {name: jnp.sum(losses[ours]) for name, ours in TERMS.items()}

    jacobian = jax.device_get(jax.jit(jax.jacrev(sums))(params))
    return {
        f"{term}/{name}": tensor
        for term, gradients in jacobian.items()
        for name, tensor in torch.tensors_of(gradients).items()
    }


def training(setup: Setup, params: Any, memory: Memory, phase: int, steps: int) -> dict[str, np.ndarray]:
    """Losses and gradients at a start, and steps of the optimizer from it with all videos: loss/, grad/, adam/."""
    method, batch, single = setup.method(phase), setup.videos.batch(setup.devices), alone(setup.videos.batch())
    second, name = np.full(len(single["order"]), phase == 2), f"phase{phase}"
    state = state_of(method, params, {"memory": memory})
    gradients, _, _ = gradients_of(method, state, batch)
    taken = take_steps(method, state, batch, steps)
    before, memories, losses = [state, *(state for state, _ in taken[:-1])], [], []
    for each in before:
        losses.append(losses_of_videos(setup, each.params, each.carried["memory"], single, second)[0])
        memories.append(puts(setup, each.params, each.carried["memory"], single, second)[1])
    end = taken[-1][0]
    per_step = {"losses": [values["total"] for _, values in taken], "totals": [each["total"] for each in losses]}
    per_step["terms"] = [np.stack([each[term] for term in TERMS], axis=-1) for each in losses]
    computed = prefixed(f"loss/{name}/", losses[0]) | prefixed(f"grad/{name}/", torch.tensors_of(gradients))
    computed |= prefixed(f"adam/{name}/", per_step)
    computed |= prefixed(f"adam/{name}/final/", torch.tensors_of(end.params))
    if phase == 2:
        computed |= prefixed("memory/phase2/", {key: np.concatenate([m[key] for m in memories]) for key in memories[0]})
        ends = [as_recorded(state.carried["memory"]) for state, _ in taken]
        computed |= prefixed("carried/phase2/", {key: np.stack([each[key] for each in ends]) for key in ends[0]})
    return computed


def whole_run(setup: Setup, params: Any, order: np.ndarray, batch_size: int, warmup: int) -> dict[str, np.ndarray]:
    """The published loop over epochs of videos in the order int [epochs, V], with the refresh between its phases.

    The videos that are left over after the last whole step have losses and puts, but take no step.
    """
    epochs, number = order.shape
    changes = {"memory.warmup_epochs": warmup, "train.batch_size": batch_size}
    setup = dataclasses.replace(setup, config=changed(setup.config, changes))
    method = make(setup.config, dataclasses.replace(setup.sizes, videos=number), AXIS)
    fill_at = steps_within(warmup, batch_size, number)
    state: TrainState = state_of(method, params, {"memory": setup.empty_memory()})
    losses, memories, grads, moved, computed = [], [], [], [], {}
    for step, first in enumerate(range(0, order.size, batch_size)):
        if step == fill_at:
            memory = filled_memory(setup, state.params, setup.videos[:number], method, step)
            state = state.replace(carried={"memory": memory})
            computed |= prefixed("memory_init/", as_recorded(memory))
        shown = setup.videos[order.ravel()[first : first + batch_size]]
        single = alone(shown.batch())
        second = (first + single["order"]) // number >= warmup
        losses.append(losses_of_videos(setup, state.params, state.carried["memory"], single, second)[0])
        memories.append(puts(setup, state.params, state.carried["memory"], single, second)[1])
        if len(single["order"]) == batch_size:
            batch = shown.batch(setup.devices)
            grads.append(torch.tensors_of(gradients_of(method, state, batch)[0]))
            ((state, _),) = take_steps(method, state, batch, 1)
            moved.append(torch.tensors_of(state.params))
    per_video = join(losses, np.concatenate)
    computed["totals"] = per_video["total"].reshape(epochs, number)
    computed["terms"] = np.stack([per_video[term] for term in TERMS], axis=-1).reshape(epochs, number, -1)
    computed |= prefixed("memory/", join(memories, np.concatenate))
    return computed | prefixed("grads/", join(grads, np.stack)) | prefixed("params/", join(moved, np.stack))


def join(parts: Sequence[Arrays], how: Any) -> dict[str, np.ndarray]:
    """The arrays of equal names in all parts, joined by `how`."""
    return {name: how([part[name] for part in parts]) for name in parts[0]}
