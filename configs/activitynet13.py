"""TSC-Net on ActivityNet-1.3 with I3D features (RGB + flow, 2048).

  python -m launch.prepare --layout per_video --source ACTIVITYNET_DIR --name activitynet13
  python -m launch.train --config=configs/activitynet13.py --workdir=runs/activitynet13

The paper has no result on version 1.3. This is the recipe for 1.2; the bank has 201 rows, because there
are 200 classes. It has not been run, because the features must be obtained from their publishers.
"""

import ml_collections

from tsc_jax.configs import activitynet12


def get_config() -> ml_collections.ConfigDict:
    """Returns ActivityNet-1.2's recipe for the data of version 1.3."""
    config = activitynet12.get_config()
    config.data.name = "activitynet13"
    config.train.steps = 40000  # ours: as many epochs of twice as many videos
    return config
