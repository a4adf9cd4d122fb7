"""Self-training: a student learns the segments that a finished run of any method finds in the training videos."""

from tsc_jax.methods.self_train.method import make

__all__ = ["make"]
