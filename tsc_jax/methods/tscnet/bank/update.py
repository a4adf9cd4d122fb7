"""What becomes of the bank after a step: `bank -> bank`, pure.

"gradient" (published): the optimizer moves the rows as it does parameters.

"frozen": the rows stay as they were fitted (what the published ActivityNet recipe is meant to do).

"ema": row c moves toward what the step's videos show of class c. With fused features z = w t + (1 - w) s and fused
attention a = w a_t + (1 - w) a_s of the two branches (w the fusion weight), videos v of the global batch, their
snippets i and labels y,

    n_c = sum_v y_vc sum_i a_vi            m_c = sum_v y_vc sum_i a_vi z_vi / n_c       for a class c
    n_C = sum_v sum_i (1 - a_vi)           m_C = sum_v sum_i (1 - a_vi) z_vi / n_C      for background, the last row
    P_c <- mu P_c + (1 - mu) m_c           where n_c > 0; other rows are not touched
    usage_c <- usage_c + n_c

n and the sums are reduced over all devices and processes before the division, so the rule does not depend on how a
batch is dealt. z and a are those that the training step computes, dropout included, and carry no gradient.
"""

import jax
import jax.numpy as jnp

from tsc_jax.methods.tscnet.bank.state import Bank

UPDATE_RULES = ("gradient", "frozen", "ema")


def update(
    bank: Bank, rule: str, rows: jax.Array | None, shown: tuple[jax.Array, jax.Array] | None, momentum: float
) -> Bank:
    """The bank after a step.

    Args:
      bank: before it.
      rule: one of UPDATE_RULES.
      rows: [K, D] that the optimizer made; "gradient" alone.
      shown: `evidence` of the global batch, summed over all devices; "ema" alone.
      momentum: mu above; "ema" alone.
    """
    if rule == "gradient":
        return bank.replace(rows=rows)
    if rule == "ema":
        return by_mean(bank, *shown, momentum)
    return bank


def by_mean(bank: Bank, sums: jax.Array, counts: jax.Array, momentum: float) -> Bank:
    """The bank with each row moved toward sums [K, D] / counts [K], of the global batch; where a count is 0, not."""
    seen = counts > 0
    means = sums / jnp.where(seen, counts, 1)[:, None]
    rows = jnp.where(seen[:, None], momentum * bank.rows + (1 - momentum) * means, bank.rows)
    return bank.replace(rows=rows, usage=bank.usage + counts)


def evidence(
    features: jax.Array, attention: jax.Array, labels: jax.Array, mask: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """This device's share of the sums [C + 1, D] and counts [C + 1] of the rule "ema".

    Args:
      features: fused, [B, T, D].
      attention: fused, [B, T].
      labels: bool [B, C].
      mask: bool [B, T].
    """
    contains = jnp.concatenate([labels, jnp.ones((len(labels), 1), bool)], axis=1)[:, None, :]
    background = jnp.arange(contains.shape[-1]) == contains.shape[-1] - 1
    weights = jnp.where(background, 1 - attention[..., None], attention[..., None])
    weights = jax.lax.stop_gradient(jnp.where(contains & mask[..., None], weights, 0))
    features = jax.lax.stop_gradient(jnp.where(mask[..., None], features, 0))
    sums = jnp.einsum("btk,btd->kd", weights, features, precision="highest")
    return sums, jnp.sum(weights, axis=(0, 1))
