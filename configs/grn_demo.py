"""GRN on the embedded recordings: smartwatch workouts with 5 exercises as actions.

python -m launch.prepare --name watch_workouts
python -m launch.train --config=configs/grn_demo.py --workdir=runs/grn_demo
"""

import ml_collections

from tsc_jax.configs import common, grn_thumos14


def get_config() -> ml_collections.ConfigDict:
    """Returns THUMOS-14's recipe with settings for a small data set and two CPU cores."""
    config = grn_thumos14.get_config()
    with config.unlocked():
        common.for_demo(config)
        config.model.modalities = 1
        config.model.hidden = 64
        config.model.channels = (32, 32, 16)
        config.optimizer.learning_rate = 5e-4  # the best of 5e-4, 1e-3, 2e-3 and 4e-3 on held-out watch sessions
        config.optimizer.graph_after = 200
        config.train.steps = 800
        config.train.snippets = 96  # more than a video has; of about 140 per watch session
    return config
