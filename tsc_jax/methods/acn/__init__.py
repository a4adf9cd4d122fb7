"""ACN (Zhai et al., ICIP 2019): action coherence network, a stage on top of the finished run of any method."""

from tsc_jax.methods.acn.method import make

__all__ = ["make"]
