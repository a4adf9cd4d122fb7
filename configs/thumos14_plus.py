"""TSC-Net on THUMOS-14, with what was found to do better than published (configs/plus.py).

python -m launch.train --config=configs/thumos14_plus.py --workdir=runs/thumos14_plus
"""

import ml_collections

from configs import plus, thumos14


def get_config() -> ml_collections.ConfigDict:
    """The faithful recipe with the changes of configs/plus.py."""
    return plus.improve(thumos14.get_config())
