"""Computes the quantities of a recording (see `recorded`) under the same names.

Gradients and steps of the optimizer are those of the train step, on several devices where wanted.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax.data.sampling import steps_within
from tsc_jax.methods.rskp import torch
from tsc_jax.methods.rskp.losses import loss_terms
from tsc_jax.methods.rskp.memory import Memory, put, read_and_put
from tsc_jax.methods.rskp.method import losses_of
from tsc_jax.methods.rskp.network import RSKP, fuse
from tsc_jax.methods.rskp.recorded import TERMS, Arrays, Setup, Videos
from tsc_jax.methods.rskp.walk import assign, expectation_maximization, spread
from tsc_jax.nn.cosine import Scores
from tsc_jax.replay import gradients_of, prefixed, state_of, take_steps

NEVER = 2**20  # epochs of the first phase where there is no second one
program = functools.partial(jax.jit, static_argnums=0)  # the setup is static


# What is computed of some videos at given parameters, on one device.


def embedded(setup: Setup, params: Any, batch: Arrays, kept: jax.Array | None = None, rate: float = 0) -> jax.Array:
    """The embedded snippets [B, T, E] after dropout at `rate` that leaves the entries `kept` (None: no dropout)."""
    x = setup.network.apply({"params": params}, batch["features"], batch["mask"], method=RSKP.embed)
    return x if kept is None else jnp.where(kept, x / (1 - rate), 0)


@program
def outputs(setup: Setup, params: Any, batch: Arrays) -> dict[str, jax.Array]:
    """All that inference computes."""
    settings, mask, x = setup.config.model, batch["mask"], embedded(setup, params, batch)
    branches = setup.network.apply({"params": params}, x, mask, method=RSKP.branches)
    named = {"x": x, "mu": branches.prototypes, "mu_pred": branches.prototype_scores, "refined_x": branches.walked}
    valid = jnp.ones(branches.prototypes.shape[:2], bool)
    named["walk_z"] = assign(branches.prototypes, valid, x, mask, settings.assignment_scale)
    for rounds in range(1, settings.em_rounds + 1):
        em = (params["prototypes"], x, mask, settings.assignment_scale, rounds)
        named[f"mu_after_{rounds}"], assignments = expectation_maximization(*em)
        named[f"em_z{rounds}"] = assignments[-1]
    cas, scores = fuse(branches.main, branches.intra, settings.main_weight)
    named |= branch("o_", branches.main, mask) | branch("m_", branches.intra, mask)
    return named | {"vid_pred": scores, "frm_pred": masked(cas, mask)}


def branch(prefix: str, scores: Scores, mask: jax.Array) -> dict[str, jax.Array]:
    """The scores of a branch as recordings hold them."""
    videos = {"ca": jax.nn.softmax(scores.agnostic), "cw": jax.nn.softmax(scores.specific)}
    snippets = {"att": masked(scores.attention, mask), "logits": masked(scores.cas, mask)}
    return {f"{prefix}{name}": array for name, array in (videos | snippets).items()}


def masked(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Zeros where there is no snippet: [B, T, ...]."""
    return jnp.where(mask.reshape(*mask.shape, *[1] * (x.ndim - 2)), x, 0)


def walk_inverse(setup: Setup, z: np.ndarray) -> np.ndarray:
    """(I - w^2 Z'N)^-1 [T, T] of the assignments Z [K, T] of one video."""
    return np.asarray(spread(z[None], jnp.eye(z.shape[1])[None], setup.config.model.walk_weight)[0])


@program
def inter_branch(setup: Setup, params: Any, memory: Memory, batch: Arrays) -> dict[str, jax.Array]:
    """The inter-video branch, and the logits of the other branches."""
    variables, mask, x = {"params": params}, batch["mask"], embedded(setup, params, batch)
    branches = setup.network.apply(variables, x, mask, method=RSKP.branches)
    videos = (branches.prototypes, branches.prototype_scores, batch["labels"])
    _, read = read_and_put(memory, *videos, setup.config.memory.labels)
    named = branch("", setup.network.apply(variables, x, mask, *read, method=RSKP.inter), mask)
    logits = {"main_logits": masked(branches.main.cas, mask), "intra_logits": masked(branches.intra.cas, mask)}
    return named | logits | {"x": masked(setup.network.apply(variables, x, mask, *read, method=RSKP.walk), mask)}


def losses(setup: Setup, params: Any, memory: Memory, batch: Arrays, second: jax.Array, *dropout) -> dict:
    """The unweighted losses of each video [B]; `second` bool [B] tells the videos in the second phase."""
    x = embedded(setup, params, batch, *dropout)
    variables, most = {"params": params}, setup.config.memory.labels
    return losses_of(setup.network, variables, x, batch, second, memory, setup.config, most, None)[0]


@program
def totals(
    setup: Setup, params: Any, memory: Memory, batch: Arrays, second: jax.Array, kept: jax.Array, rate: float
) -> tuple[Any, dict[str, jax.Array]]:
    """The gradient of the sum over the videos of their losses; each term [B] by its recorded name, with "total"."""

    def total_of_video(parts, second):
        alone = {name: part[None] for name, part in parts.items()}
        terms = loss_terms(alone, jnp.ones(1, bool), second[None], setup.config.loss.weights)
        return sum(term.weight * term.sum for term in terms.values())

    def total(params):
        parts = losses(setup, params, memory, batch, second, kept, rate)
        total = jnp.where(batch["video"] >= 0, jax.vmap(total_of_video)(parts, second), 0)
        return jnp.sum(total), {name: parts[ours] for name, ours in TERMS.items()} | {"total": total}

    return jax.grad(total, has_aux=True)(params)


def plain_totals(setup: Setup, params: Any, memory: Memory, batch: Arrays, second: np.ndarray) -> tuple[dict, dict]:
    """The gradients of `totals` as tensors, and its terms, without dropout."""
    everything = np.ones((*batch["mask"].shape, setup.config.model.embedding_width), bool)
    gradients, terms = jax.device_get(totals(setup, params, memory, batch, second, everything, np.float32(0)))
    return torch.tensors_of(gradients), terms


@program
def term_gradients(setup: Setup, params: Any, memory: Memory, batch: Arrays, second: jax.Array) -> dict[str, Any]:
    """The gradient of the sum over the videos of each unweighted term."""

    def sums(params):
        parts = losses(setup, params, memory, batch, second)
        return {name: jnp.sum(parts[ours]) for name, ours in TERMS.items()}

    return jax.jacrev(sums)(params)


@program
def memories(setup: Setup, params: Any, memory: Memory, batch: Arrays, second: jax.Array) -> Memory:
    """The memory after each of the videos [B, ...]; only those in the second phase put their prototypes."""
    branches = setup.network.apply({"params": params}, batch["features"], batch["mask"])

    def step(memory, video):
        memory = put(memory, *video, setup.config.memory.labels)
        return memory, memory

    videos = (branches.prototypes, branches.prototype_scores, batch["labels"] & second[:, None])
    return jax.lax.scan(step, memory, videos)[1]


def as_recorded(memory: Memory, rows: Any = ...) -> dict[str, np.ndarray]:
    """The memory, or some rows of several ones, under the names of recordings."""
    return {"mu": np.asarray(memory.prototypes)[rows], "score": np.asarray(memory.scores)[rows]}


# Training.


def steps(setup: Setup, params: Any, memory: Memory, phase: int, number: int) -> dict[str, np.ndarray]:
    """Losses and gradients at a start, and steps of the optimizer from it, each with all videos in one phase."""
    videos, batch = len(setup.videos.lengths), setup.videos.batch()
    method = setup.method(0 if phase == 2 else NEVER, videos, videos)
    state, second = state_of(method, params, {"memory": memory}), np.full(videos, phase == 2)
    gradients, _, _ = gradients_of(method, state, setup.videos.dealt(setup.devices))
    taken = take_steps(method, state, setup.videos.dealt(setup.devices), number)
    terms, puts = [], []
    for each in (state, *(state for state, _ in taken[:-1])):
        at = (each.params, each.carried["memory"], batch, second)
        terms.append(plain_totals(setup, *at)[1])
        puts.append(as_recorded(memories(setup, *at)))
    per_step, name = join(terms, np.stack), f"phase{phase}"
    computed = prefixed(f"loss/{name}/", terms[0]) | prefixed(f"grad/{name}/", torch.tensors_of(gradients))
    computed |= prefixed(f"adam/{name}/final/", torch.tensors_of(taken[-1][0].params))
    computed[f"adam/{name}/losses"] = np.stack([values["total"] for _, values in taken])
    computed[f"adam/{name}/totals"] = per_step["total"]
    computed[f"adam/{name}/terms"] = np.stack([per_step[term] for term in TERMS], axis=-1)
    return computed | prefixed(f"memory/{name}/", join(puts, np.concatenate))


def run(setup: Setup, params: Any, order: np.ndarray, batch_size: int, warmup: int) -> dict[str, np.ndarray]:
    """The published loop over epochs of videos in the order int [epochs, V], with the refresh between its phases.

    The videos that are left over after the last whole step have losses and puts, but take no step.
    """
    epochs, videos = order.shape
    method, fill_at = setup.method(warmup, batch_size, videos), steps_within(warmup, batch_size, videos)
    state, computed = state_of(method, params, {"memory": setup.empty_memory()}), {}
    terms, puts, gradients, moved = [], [], [], []
    for step, first in enumerate(range(0, order.size, batch_size)):
        if step == fill_at:
            _, carried, _ = method.refresh(state.params, state.carried, setup.videos[:videos].look(), step)
            state = state.replace(carried=carried)
            computed = prefixed("memory_init/", as_recorded(carried["memory"]))
        shown = setup.videos[order.ravel()[first : first + batch_size]]
        padded, number = shown.padded(*setup.videos.features.shape[:2]), len(shown.lengths)
        second = first + np.arange(len(padded.lengths)) >= warmup * videos
        at = (state.params, state.carried["memory"], padded.batch(), second)
        terms.append({name: term[:number] for name, term in plain_totals(setup, *at)[1].items()})
        puts.append(as_recorded(memories(setup, *at), np.flatnonzero(second[:number])))
        if number == batch_size:
            gradients.append(torch.tensors_of(gradients_of(method, state, shown.dealt(setup.devices))[0]))
            ((state, _),) = take_steps(method, state, shown.dealt(setup.devices), 1)
            moved.append(torch.tensors_of(state.params))
    per_video = join(terms, np.concatenate)
    computed["totals"] = per_video["total"].reshape(epochs, videos)
    computed["terms"] = np.stack([per_video[term] for term in TERMS], axis=-1).reshape(epochs, videos, -1)
    computed |= prefixed("memory/", join(puts, np.concatenate))
    return computed | prefixed("grads/", join(gradients, np.stack)) | prefixed("params/", join(moved, np.stack))


def join(parts: Sequence[Arrays], how: Callable) -> dict[str, np.ndarray]:
    """The arrays of equal names in all parts, joined by `how`."""
    return {name: how([part[name] for part in parts]) for name in parts[0]}


# Single videos.


def one_video(setup: Setup, params: Any, video: Videos) -> tuple[dict, dict, dict]:
    """Outputs, terms in the first phase, and their gradients as tensors, of a single video."""
    rows, length = setup.videos.features.shape[:2]
    batch = video.padded(rows, length).batch()
    seen = {name: array[0] for name, array in jax.device_get(outputs(setup, params, batch)).items()}
    of_snippets = {name: seen[name][: video.lengths[0]] for name in seen if name.endswith(("_att", "_logits"))}
    gradients, terms = plain_totals(setup, params, setup.empty_memory(), batch, np.zeros(rows, bool))
    return seen | of_snippets, {name: array[0] for name, array in terms.items()}, gradients
