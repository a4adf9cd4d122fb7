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
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsc_jax.api import Localization, Localizer, Segment, load
    from tsc_jax.data.arrays import prepare
    from tsc_jax.errors import InputError
    from tsc_jax.training.loop import train

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Localization",
    "Localizer",
    "Segment",
    "__version__",
    "load",
    "prepare",
    "train",
]

_MODULES = {"InputError": "errors", "prepare": "data.arrays", "train": "training.loop"}  # of the others: api

# A wheel has configs/ and launch/ in this folder. In a clone they stand beside it and are found there.
if not Path(__file__).with_name("configs").is_dir():
    __path__.append(str(Path(__file__).resolve().parents[1]))

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'api')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
