"""TSC-Net (Lin et al., 2025): temporal and semantic correlation network."""

from tsc_jax.methods.tscnet.method import make

__all__ = ["make"]
