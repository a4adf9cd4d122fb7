"""TSC-Net on the embedded recordings, with what was found to do better than published (configs/plus.py).

python -m launch.train --config=configs/demo_plus.py --workdir=runs/demo_plus
"""

import ml_collections

from configs import demo, plus


def get_config() -> ml_collections.ConfigDict:
    """The faithful recipe with the changes of configs/plus.py."""
    return plus.improve(demo.get_config())
