"""Evenly spaced snippets at test time: a method sees at most N snippets of each video.

A video of T > N snippets is cut into N equal spans, and snippet floor((n + offset) T / N) stands for span n, the time
from n T / N to (n + 1) T / N; a video of at most N snippets keeps all of them. The outputs have the video's own T
again: each snippet gets the outputs of the span that holds its middle. For T > N every span holds the middle of a
snippet, so the outputs of all spans can be read back.
"""

import dataclasses
from collections.abc import Collection, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from tsc_jax.method import Method, Outputs


def on_even_samples(method: Method, number: int, offset: float, of_videos: Collection[str] = ()) -> Method:
    """`method`, whose `forward`, `localize` and `class_scores` work on at most `number` snippets of each video.

    Args:
      method: whose outputs per snippet have one value for each snippet that it sees.
      number: N.
      offset: 0 for the first snippet of each span, 0.5 for the middle one.
      of_videos: the names of the outputs per video; all others are per snippet.
    """

    def forward(variables, features, mask):
        outputs = method.forward(variables, *take_evenly(features, mask, number, offset))
        spans = jax.vmap(lambda length: spans_of_snippets(length, mask.shape[1], number))(jnp.sum(mask, axis=1))
        return Outputs({name: take_rows(array, spans) for name, array in outputs.snippets.items()}, outputs.videos)

    def seen(outputs):
        return [of_spans(each, number, of_videos) for each in outputs]

    def localize(outputs):
        lengths = np.array([len(each["attention"]) for each in outputs])
        segments = method.localize(seen(outputs))
        factors = lengths / np.minimum(lengths, number)
        return segments.scaled(factors[segments.video])

    def class_scores(outputs):
        return method.class_scores(seen(outputs))

    return dataclasses.replace(method, forward=forward, localize=localize, class_scores=class_scores)


def take_evenly(features: jax.Array, mask: jax.Array, number: int, offset: float) -> tuple[jax.Array, jax.Array]:
    """At most `number` snippets of each video: [B, T, D] and mask [B, T] -> [B, N, D] and [B, N] with N <= T."""
    number = min(number, mask.shape[1])
    lengths = jnp.sum(mask, axis=1)
    places = jax.vmap(lambda length: even_places(length, number, offset))(lengths)
    return take_rows(features, places), jnp.arange(number)[None] < lengths[:, None]


def take_rows(x: jax.Array, places: jax.Array) -> jax.Array:
    """Rows `places` int [B, N] of each video of x [B, T, ...]: [B, N, ...]."""
    return jax.vmap(lambda rows, at: jnp.take(rows, at, axis=0, mode="clip"))(x, places)


def even_places(length, number: int, offset: float):
    """The snippets int [number] that stand for the spans of a video; a shorter video's own snippets come first."""
    spans, halves = jnp.arange(number), round(2 * offset)
    return jnp.where(length > number, (2 * spans + halves) * length // (2 * number), spans)


def spans_of_snippets(length, padded: int, number: int):
    """The span int [padded] that holds the middle of each snippet; a shorter video's snippets are their own spans."""
    snippets = jnp.arange(padded)
    return jnp.where(length > number, (2 * snippets + 1) * number // (2 * jnp.maximum(length, 1)), snippets)


def of_spans(output: Mapping[str, np.ndarray], number: int, of_videos: Collection[str]) -> dict[str, np.ndarray]:
    """The outputs of one video with a value per span instead of per snippet."""
    length = len(output["attention"])
    # The snippet in the middle of each span.
    places = (2 * np.arange(number) + 1) * length // (2 * number) if length > number else np.arange(length)
    return {name: array if name in of_videos else array[places] for name, array in output.items()}
