"""RSKP (Huang et al., 2022): representative snippet knowledge propagation."""

from tsc_jax.methods.rskp.method import make

__all__ = ["make"]
