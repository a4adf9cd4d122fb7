"""TSC-Net for weakly-supervised temporal action localization (WTAL), in JAX.

An untrimmed video is a sequence of snippet features; training sees only which
actions occur in it; the output says which action happens from when to when.

Letters used for shapes everywhere in this package:

  B  videos of a batch            K  rows of the semantics bank
  T  snippets of a video          P  pairs of videos of a batch
  D  width of a snippet feature   N  segments (ground truth or predicted)
  C  action classes; where an axis has C + 1 entries, index C is background

Times are in seconds or in snippets; every public docstring says which.

What may be relied on from Python is what `__all__` lists, explained in docs/python.md; it is imported when it is
first used. Every other module and name is the library's own business and may change.
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    "InputError": "tsc_jax.errors",
    "Localization": "tsc_jax.api",
    "Localizer": "tsc_jax.api",
    "Segment": "tsc_jax.api",
    "load": "tsc_jax.api",
    "prepare": "tsc_jax.data.arrays",
    "train": "tsc_jax.training.loop",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
