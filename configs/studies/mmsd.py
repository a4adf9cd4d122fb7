"""The studies of MMSD; configs/mmsd_thumos14.py explains the keys."""

import ml_collections

from tsc_jax.configs import studies
from tsc_jax.configs.studies import Variants


def streams() -> Variants:
    """Varies the weights of the streams at test time, for two modalities; uses the same trained runs."""
    wanted = {"RGB": (1.0, 0.0, 0.0), "flow": (0.0, 1.0, 0.0), "peer": (0.0, 0.0, 1.0), "RGB, flow": (0.5, 0.5, 0.0)}
    names = ("rgb", "flow", "peer")
    return {"published": {}} | {
        name: {f"model.stream_weights.{stream}": value for stream, value in zip(names, values, strict=True)}
        for name, values in wanted.items()
    }


STUDIES = {
    "quirks": lambda config, classes: studies.class_tracks(),
    "losses": lambda config, classes: studies.without(config.loss.weights),
    "streams": lambda config, classes: streams(),
}


def evaluation_only(key: str, config: ml_collections.ConfigDict) -> bool:
    """Returns whether `key` only affects evaluation, so that variants with other values can share a trained run."""
    return key.startswith("model.stream_weights.") or studies.evaluation_only(key, config)
