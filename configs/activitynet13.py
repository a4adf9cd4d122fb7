"""TSC-Net on ActivityNet-1.3 with I3D features (RGB + flow, 2048).

  python -m launch.prepare --layout per_video --source ACTIVITYNET_DIR --name activitynet13
  python -m launch.train --config=configs/activitynet13.py --workdir=runs/activitynet13

The paper has no result on version 1.3; this is its recipe for 1.2 with a bank of 201 rows, as the
200 classes demand. Not run here: the features are to be had from their publishers.
"""

import ml_collections

from configs import activitynet12


def get_config() -> ml_collections.ConfigDict:
    """ActivityNet-1.2's recipe with the other data."""
    config = activitynet12.get_config()
    config.data.name = "activitynet13"
    config.train.steps = 40000  # ours: as many passes over twice as many videos
    return config
