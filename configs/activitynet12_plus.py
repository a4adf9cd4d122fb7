"""TSC-Net on ActivityNet-1.2, with the improvements of configs/plus.py.

python -m launch.train --config=configs/activitynet12_plus.py --workdir=runs/activitynet12_plus
"""

import ml_collections

from configs import activitynet12, plus


def get_config() -> ml_collections.ConfigDict:
    """Returns the published recipe with the improvements."""
    return plus.improve(activitynet12.get_config())
