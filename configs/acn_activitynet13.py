"""ACN on ActivityNet-1.3 with I3D features (RGB + flow, 2048): a stage on top of a finished run of TSC-Net.

  python -m launch.train --config=configs/activitynet13.py --workdir=runs/activitynet13
  python -m launch.train --config=configs/acn_activitynet13.py --workdir=runs/acn_activitynet13

The paper has no result on version 1.3; "paper" marks its settings for 1.2. This recipe has not been run, because the
features must be obtained from their publishers.
"""

import ml_collections

from tsc_jax.configs import acn_thumos14


def get_config() -> ml_collections.ConfigDict:
    """Returns THUMOS-14's recipe with the settings for ActivityNet."""
    config = acn_thumos14.get_config()
    with config.unlocked():
        config.data.name = "activitynet13"
        config.base.workdir = "runs/activitynet13"
        # paper. They are for snippets of 15 frames: at 16 frames and 25 frames per second the largest two last 164 and
        # 328 seconds, and few videos are longer.
        config.intervals.anchors = (16, 32, 64, 128, 256, 512)
        config.train.steps = 7518  # ours: 3 epochs of 10,024 videos
        config.eval.tiou = "0.5:0.95:0.05"
        config.eval.select_by = "all"
        config.eval.every = 1000  # ours
        config.eval.after = 1000  # ours
    return config
