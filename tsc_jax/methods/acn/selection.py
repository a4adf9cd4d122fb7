"""Which intervals training moves: of those that may be kept, the most confident one at each snippet."""

import jax
import jax.numpy as jnp

from tsc_jax.methods.acn.intervals import Intervals, covered


def winners(confidence: jax.Array, candidates: jax.Array, intervals: Intervals, snippets: int, settings) -> jax.Array:
    """The intervals that win at least one snippet: bool [B, C, A, T].

    Of the candidates of a class that cover a snippet, the one of highest confidence wins; of equals the one of the
    smaller anchor, then of the earlier start.

    Args:
      confidence: [B, C, A, T].
      candidates: bool [B, C, A, T].
      intervals: [B, A, T].
      snippets: T of the videos.
      settings: `config.intervals`.
    """
    bounds = (jnp.broadcast_to(bound[:, None], confidence.shape) for bound in covered(intervals, settings))

    def of_class(confidence, candidates, first, after):
        at = jnp.arange(snippets)[None]
        covers = candidates[:, None] & (first[:, None] <= at) & (at < after[:, None])
        winner = jnp.argmax(jnp.where(covers, confidence[:, None], -jnp.inf), axis=0)
        return jnp.zeros_like(candidates).at[winner].max(jnp.any(covers, axis=0))

    def of_pair(pair):
        # Most classes have no candidate.
        return jax.lax.cond(jnp.any(pair[1]), lambda: of_class(*pair), lambda: jnp.zeros_like(pair[1]))

    pairs = [array.reshape(-1, confidence[0, 0].size) for array in (confidence, candidates, *bounds)]
    return jax.lax.map(of_pair, pairs).reshape(confidence.shape)
