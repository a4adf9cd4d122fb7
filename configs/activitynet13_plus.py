"""TSC-Net on ActivityNet-1.3, with what was found to do better than published (configs/plus.py).

python -m launch.train --config=configs/activitynet13_plus.py --workdir=runs/activitynet13_plus
"""

import ml_collections

from configs import activitynet13, plus


def get_config() -> ml_collections.ConfigDict:
    """The faithful recipe with the changes of configs/plus.py."""
    return plus.improve(activitynet13.get_config())
