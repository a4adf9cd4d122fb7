"""TSC-Net on ActivityNet-1.2, with what was found to do better than published (configs/plus.py).

python -m launch.train --config=configs/activitynet12_plus.py --workdir=runs/activitynet12_plus
"""

import ml_collections

from configs import activitynet12, plus


def get_config() -> ml_collections.ConfigDict:
    """The faithful recipe with the changes of configs/plus.py."""
    return plus.improve(activitynet12.get_config())
