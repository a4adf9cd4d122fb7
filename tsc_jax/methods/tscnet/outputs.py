"""The outputs of the network, and how its two branches are fused."""

import jax
from flax import struct


@struct.dataclass
class Branch:
    """The outputs of one branch: features [B, T, D], CAS [B, T, C + 1], attention [B, T]."""

    features: jax.Array
    cas: jax.Array
    attention: jax.Array


@struct.dataclass
class Outputs:
    """The pyramid features [B, T, D] and the two branches."""

    pyramid: jax.Array
    temporal: Branch
    semantic: Branch


def fuse(outputs: Outputs, weight: float) -> tuple[jax.Array, jax.Array]:
    """The fused CAS [B, T, C + 1] and attention [B, T]; `weight` is the temporal branch's (test time only)."""
    temporal, semantic = outputs.temporal, outputs.semantic
    cas = weight * temporal.cas + (1 - weight) * semantic.cas
    attention = weight * temporal.attention + (1 - weight) * semantic.attention
    return cas, attention


def fuse_features(outputs: Outputs, weight: float) -> jax.Array:
    """The fused features [B, T, D], as the bank's rule "ema" sees them."""
    return weight * outputs.temporal.features + (1 - weight) * outputs.semantic.features
