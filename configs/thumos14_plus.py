"""TSC-Net on THUMOS-14, with the improvements of configs/plus.py.

python -m launch.train --config=configs/thumos14_plus.py --workdir=runs/thumos14_plus
"""

import ml_collections

from configs import plus, thumos14


def get_config() -> ml_collections.ConfigDict:
    """Returns the published recipe with the improvements."""
    return plus.improve(thumos14.get_config())
