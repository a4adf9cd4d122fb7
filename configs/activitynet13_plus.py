"""TSC-Net on ActivityNet-1.3, with the improvements of configs/plus.py.

python -m launch.train --config=configs/activitynet13_plus.py --workdir=runs/activitynet13_plus
"""

import ml_collections

from configs import activitynet13, plus


def get_config() -> ml_collections.ConfigDict:
    """Returns the published recipe with the improvements."""
    return plus.improve(activitynet13.get_config())
