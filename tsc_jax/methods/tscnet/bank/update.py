"""The rules by which a step moves the rows of the bank.

"gradient" (published): the rows are parameters, which the optimizer moves.

"frozen": the rows stay as they were fitted (the intent of the published ActivityNet recipe).

"ema": row c moves toward what the step's videos show of class c. With fused features z = w t + (1 - w) s and fused
attention a = w a_t + (1 - w) a_s of the two branches (w the fusion weight), videos v of the global batch, their
snippets i and labels y,

    n_c = sum_v y_vc sum_i a_vi            m_c = sum_v y_vc sum_i a_vi z_vi / n_c       for a class c
    n_C = sum_v sum_i (1 - a_vi)           m_C = sum_v sum_i (1 - a_vi) z_vi / n_C      for background, the last row
    P_c <- mu P_c + (1 - mu) m_c           where n_c > 0; other rows are not touched
    usage_c <- usage_c + n_c

n and the sums are added over all devices and processes before the division, so the rule does not depend on how a
batch is dealt to devices. z and a come from the training step, dropout included, and carry no gradient.
"""

import jax
import jax.numpy as jnp

from tsc_jax.methods.tscnet.bank.state import Bank

UPDATE_RULES = ("gradient", "frozen", "ema")


def by_mean(bank: Bank, sums: jax.Array, counts: jax.Array, momentum: float) -> Bank:
    """Moves each row toward sums [K, D] / counts [K] of the global batch; a row whose count is 0 stays."""
    seen = counts > 0
    means = sums / jnp.where(seen, counts, 1)[:, None]
    rows = jnp.where(seen[:, None], momentum * bank.rows + (1 - momentum) * means, bank.rows)
    return bank.replace(rows=rows, usage=bank.usage + counts)


def evidence(
    features: jax.Array, attention: jax.Array, labels: jax.Array, mask: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """This device's share of the sums [C + 1, D] and counts [C + 1] of the rule "ema".

    It takes the fused features [B, T, D] and attention [B, T], labels bool [B, C] and mask bool [B, T].
    """
    contains = jnp.concatenate([labels, jnp.ones((len(labels), 1), bool)], axis=1)[:, None, :]
    background = (jnp.arange(contains.shape[-1]) == contains.shape[-1] - 1)[None, None]
    weights = jnp.where(background, 1 - attention[..., None], attention[..., None])
    weights = jax.lax.stop_gradient(jnp.where(contains & mask[..., None], weights, 0))
    features = jax.lax.stop_gradient(jnp.where(mask[..., None], features, 0))
    sums = jnp.einsum("btk,btd->kd", weights, features, precision="highest")
    return sums, jnp.sum(weights, axis=(0, 1))
