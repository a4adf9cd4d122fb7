"""GRN (Park et al., ICIP 2019): graph regularization network with semantic affinity."""

from tsc_jax.methods.grn.method import make

__all__ = ["make"]
