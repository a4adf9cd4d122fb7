"""ACN's objective: the mean confidence of the intervals that are kept."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tsc_jax.method import Term
from tsc_jax.methods.acn.confidence import coherence, confidence, integral, outer_inner_contrast
from tsc_jax.methods.acn.intervals import Intervals, alive, make_intervals
from tsc_jax.methods.acn.network import Regressors
from tsc_jax.methods.acn.selection import winners
from tsc_jax.nn.modalities import split_modalities


class Scored(NamedTuple):
    """The intervals of B videos in one stream, and what they are judged by."""

    intervals: Intervals
    outer: jax.Array  # [B, A, T, C]
    inner: jax.Array  # [B, A, T, C]
    coherence: jax.Array  # [B, A, T]
    confidence: jax.Array  # [B, C, A, T]


def loss_terms(network: Regressors, params: Any, batch: dict, scp: jax.Array, classes: jax.Array, config) -> dict:
    """The terms of all streams.

    Args:
      network: of one stream.
      params: of every stream, by its name.
      batch: see `method.Method`.
      scp: [B, T, C], class evidence, constant.
      classes: bool [B, C], the classes that a video shows.
      config: the recipe.
    """
    terms, mask = {}, batch["mask"]
    present = jnp.where(mask[..., None], batch["features"], 0)
    for stream, features in split_modalities(present, config.model.modalities).items():
        regressed = regress(network, params[stream], features, scp, mask, config.model.input)
        scored = score(make_intervals(regressed, jnp.sum(mask, axis=1), config.intervals), features, scp, config)
        kept = jax.lax.stop_gradient(select(scored, scp, classes, config))
        of_videos = mean_confidence(scored.confidence, kept)
        terms[f"{stream}/confidence"] = Term(
            -jnp.sum(of_videos), jnp.sum(batch["video"] >= 0, dtype=jnp.float32), config.loss.weights.confidence
        )
        terms[f"{stream}/move"] = moves(scored.intervals, config.intervals.anchors)
    return terms


def regress(network: Regressors, params: Any, features, scp, mask, kind: str) -> jax.Array:
    """The outputs of the regressors of a stream, [B, T, A, 2]; `kind` is `config.model.input`."""
    x = jnp.concatenate([features, scp], axis=-1) if kind == "features+scp" else features
    return network.apply({"params": params}, x, mask)


def each_anchor(function: Callable, intervals: Intervals) -> Any:
    """What `function` returns for the intervals [B, T] of every anchor, joined along axis 1; saves memory."""
    by_anchor = jax.tree.map(lambda array: jnp.moveaxis(array, 1, 0), intervals)
    results = jax.lax.map(jax.checkpoint(function), by_anchor)
    return jax.tree.map(lambda array: jnp.moveaxis(array, 0, 1), results)


def score(intervals: Intervals, features: jax.Array, scp: jax.Array, config) -> Scored:
    """Scores all intervals for all classes; features [B, T, D] and scp [B, T, C] are 0 in the padding."""

    def of_anchor(intervals):
        contrast = outer_inner_contrast(functools.partial(integral, scp), intervals, config.intervals)
        return *contrast, coherence(features, intervals, config.intervals)

    outer, inner, alike = each_anchor(of_anchor, intervals)
    by_class = jnp.moveaxis(confidence(outer, inner, alike, config.confidence), -1, 1)
    return Scored(intervals, outer, inner, alike, by_class)


def select(scored: Scored, scp: jax.Array, classes: jax.Array, config) -> jax.Array:
    """The intervals that training moves, bool [B, C, A, T], for the classes that a video shows, bool [B, C]."""
    candidates = alive(scored.intervals, scp, config) & classes[..., None, None]
    return winners(scored.confidence, candidates, scored.intervals, scp.shape[1], config.intervals)


def mean_confidence(confidence: jax.Array, kept: jax.Array) -> jax.Array:
    """The mean over the kept intervals of all classes of a video, [B]; 0 where there is none."""
    everything = (1, 2, 3)
    return jnp.sum(confidence, everything, where=kept) / jnp.maximum(jnp.sum(kept, everything), 1)


def moves(intervals: Intervals, anchors) -> Term:
    """How far the ends move on average, as a share of the anchor; for the log, with weight 0."""
    sizes = jnp.asarray(anchors, jnp.float32)[None, :, None]
    first = jnp.arange(intervals.start.shape[-1])[None, None]
    moved = (jnp.abs(intervals.start - first) + jnp.abs(intervals.end - first - sizes)) / (2 * sizes)
    exists = intervals.exists
    return Term(jax.lax.stop_gradient(jnp.sum(moved, where=exists)), jnp.sum(exists, dtype=jnp.float32), 0.0)
