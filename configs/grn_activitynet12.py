"""GRN on ActivityNet-1.2 with I3D features (RGB + flow, 2048): its training set, tested on its validation set.

  python -m launch.prepare --layout joint --source ACTIVITYNET_DIR --name activitynet12
  python -m launch.train --config=configs/grn_activitynet12.py --workdir=runs/grn_activitynet12

The paper reports an mAP of 45.2, 41.8, 33.7 and 18.4 at tIoU 0.3, 0.4, 0.5 and 0.7, and gives no settings other than
those for THUMOS-14. This recipe has not been run, because the features must be obtained from their publishers.
"""

import ml_collections

from tsc_jax.configs import grn_thumos14


def get_config() -> ml_collections.ConfigDict:
    """Returns THUMOS-14's recipe for the data of ActivityNet-1.2."""
    config = grn_thumos14.get_config()
    config.data.name = "activitynet12"
    return config
