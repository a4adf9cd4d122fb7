"""The studies of FAC-Net; configs/facnet_thumos14.py explains the keys."""

from tsc_jax.configs import studies
from tsc_jax.configs.studies import Variants


def temperatures() -> Variants:
    """Varies the temperatures of the attentions."""
    names = {"1": (1.0,), "2": (2.0,), "5": (5.0,), "1, 2": (1.0, 2.0)}
    return {"published: 1, 2, 5": {}} | {name: {"model.temperatures": each} for name, each in names.items()}


STUDIES = {
    "quirks": lambda config, classes: studies.class_tracks(),
    "losses": lambda config, classes: studies.without(config.loss.weights),
    "temperatures": lambda config, classes: temperatures(),
}
