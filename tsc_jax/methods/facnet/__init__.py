"""FAC-Net (Huang et al., ICCV 2021): foreground-action consistency network."""

from tsc_jax.methods.facnet.method import make

__all__ = ["make"]
