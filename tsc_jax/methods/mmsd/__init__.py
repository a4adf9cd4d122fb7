"""MMSD (Huang, Wang and Li, 2022): multi-modality self-distillation."""

from tsc_jax.methods.mmsd.method import make

__all__ = ["make"]
