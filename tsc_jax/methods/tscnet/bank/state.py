"""The state of a bank."""

import jax
import jax.numpy as jnp
from flax import struct


@struct.dataclass
class Bank:
    """What is carried of a bank."""

    # float32 [K, D], the prototypes; None in a train state under the rule "gradient": there they are params
    rows: jax.Array | None
    fitted: jax.Array  # float32 [K, D], the rows as they were fitted
    usage: jax.Array  # float32 [K], evidence that moved each row so far, in snippets; 0 unless the rule is "ema"


def new_bank(rows: jax.Array, rule: str) -> Bank:
    """A bank with rows [K, D] that nothing has moved, for one of the rules of `update`."""
    rows = jnp.asarray(rows, jnp.float32)
    # A copy: the train step donates its state, and no buffer may be donated twice.
    carried = None if rule == "gradient" else jnp.array(rows, copy=True)
    return Bank(carried, rows, jnp.zeros(rows.shape[0]))


def drift(rows: jax.Array, fitted: jax.Array) -> jax.Array:
    """Distance of each row [K, D] from its fitted row, as a share of the fitted row's length: [K]."""
    lengths = jnp.linalg.norm(fitted, axis=1)
    return jnp.linalg.norm(rows - fitted, axis=1) / jnp.maximum(lengths, 1e-12)
