"""TSC-Net on the embedded recordings, with the improvements of configs/plus.py.

python -m launch.train --config=configs/demo_plus.py --workdir=runs/demo_plus
"""

import ml_collections

from configs import demo, plus


def get_config() -> ml_collections.ConfigDict:
    """Returns the published recipe with the improvements."""
    return plus.improve(demo.get_config())
