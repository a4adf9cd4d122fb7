"""TSC-Net with the localization of configs/plus.py instead of its own.

python -m launch.train --config=configs/tscnet_plus.py:demo --workdir=runs/tscnet_plus

After the colon stands the kind of the recipe, "thumos14" unless given.
"""

import ml_collections

from tsc_jax import configs
from tsc_jax.configs import plus


def get_config(data: str = "thumos14") -> ml_collections.ConfigDict:
    """Returns TSC-Net's recipe for `data` with the changes."""
    return plus.improve(configs.recipe("tscnet", data))
