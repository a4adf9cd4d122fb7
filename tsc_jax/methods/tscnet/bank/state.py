"""What a bank is."""

import jax
import jax.numpy as jnp
from flax import struct


@struct.dataclass
class BankFit:
    """How a bank was fitted; travels with it, on disk too.

    Attributes:
      source: "mixture", "kmeans" or "class_means" (see `fit`); "" where that is not known.
      seed: of the snippets drawn and of the start.
      snippets: number of snippets seen.
      iterations: until the fit stopped.
      log_likelihood: of a snippet, on average, before the last iteration; for k-means minus its mean squared
        distance from the nearest centre. Both of standardized features.
      fingerprint: of the training split it was fitted on.
    """

    source: str = ""
    seed: int = 0
    snippets: int = 0
    iterations: int = 0
    log_likelihood: float = 0.0
    fingerprint: str = ""


@struct.dataclass
class Bank:
    """The bank.

    Attributes:
      rows: float32 [K, D], the prototypes.
      fitted: float32 [K, D], the rows as they were fitted.
      usage: float32 [K], evidence that moved each row so far, in snippets; 0 but under the rule "ema".
      fit: how they were fitted; not traced.
    """

    rows: jax.Array
    fitted: jax.Array
    usage: jax.Array
    fit: BankFit = struct.field(pytree_node=False)


def new_bank(rows: jax.Array, fit: BankFit) -> Bank:
    """A bank of rows [K, D] that nothing has moved."""
    rows = jnp.asarray(rows, jnp.float32)
    # A copy: the train step is given both, and may not be given one buffer twice.
    return Bank(rows, jnp.array(rows, copy=True), jnp.zeros(rows.shape[0]), fit)


def drift(bank: Bank) -> jax.Array:
    """How far each row is from where it was fitted, as a share of the fitted row's length: [K]."""
    lengths = jnp.linalg.norm(bank.fitted, axis=1)
    return jnp.linalg.norm(bank.rows - bank.fitted, axis=1) / jnp.maximum(lengths, 1e-12)
