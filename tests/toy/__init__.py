"""The toy method, and its recipe; importing this package adds the method to those that `config.method` may name."""

from pathlib import Path

import ml_collections

from configs import thumos14
from tsc_jax import methods

methods.__path__.append(str(Path(__file__).parent))


def recipe(**changes) -> ml_collections.ConfigDict:
    """A recipe of the toy method: sections of THUMOS-14's recipe, changed, and one of its own."""
    published = thumos14.get_config()
    config = ml_collections.ConfigDict(
        {name: published[name] for name in ("method", "data", "optimizer", "train", "checkpoint", "eval")}
    )
    config.method, config.toy = "toy", ml_collections.ConfigDict({"refresh_at": (0,), "nan_at": -1, "nan_above": 0.01})
    config.update_from_flattened_dict(changes)
    return config.lock()
