"""TSC-Net on ActivityNet-1.2 with I3D features (RGB + flow, 2048).

  python -m launch.prepare --layout joint --source ACTIVITYNET_DIR --name activitynet12
  python -m launch.train --config=configs/activitynet12.py --workdir=runs/activitynet12

The paper reports an average mAP@0.5:0.95 of 26.5, best on test, and gives no command. "family" marks
settings of the code family that its authors build on. This recipe has not been run, because the features
must be obtained from their publishers.
"""

import ml_collections

from tsc_jax.configs import thumos14


def get_config() -> ml_collections.ConfigDict:
    """Returns THUMOS-14's recipe with the settings for ActivityNet-1.2."""
    config = thumos14.get_config()
    with config.unlocked():
        config.data.name = "activitynet12"
        config.data.min_snippets = 11  # videos of 10 snippets or fewer are dropped; family
        config.bank.update_rule = "frozen"  # as the paper describes it
        config.bank.snippets_per_video = 20  # paper
        config.loss.topk_ratio = 5  # family
        config.optimizer.learning_rate = 3e-5  # family
        config.train.snippets = 60  # family
        config.train.steps = 20000  # ours: about 40 epochs of the 4,819 training videos
        config.eval.tiou = "0.5:0.95:0.05"
        config.eval.select_by = "all"
        config.eval.every = 1000  # ours
        config.eval.after = 1000  # ours
    return config
