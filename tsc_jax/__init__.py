"""Weakly-supervised temporal action localization (WTAL) in JAX.

An untrimmed video is a sequence of snippet features. Training uses only the labels of a video: which actions occur in
it. The result is a list of action segments for each new video, with start, end and score.

Letters of array shapes in this package:

  B  videos of a batch            K  rows of the semantics bank
  T  snippets of a video          P  pairs of videos of a batch
  D  width of a snippet feature   N  segments (ground truth or predicted)
  C  action classes; where an axis has C + 1 entries, index C is background
  V  videos of a split            S  snippets of all training videos

Times are in seconds or in snippets; every public docstring says which.

`__all__` lists the public interface, which docs/python.md explains; each name is imported on first use. All other
modules and names may change.
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
