"""TSC-Net on the embedded recordings: smartwatch workouts with 5 exercises as actions.

python -m launch.prepare --name watch_workouts
python -m launch.train --config=configs/demo.py --workdir=runs/demo
"""

import ml_collections

from tsc_jax.configs import common, thumos14


def get_config() -> ml_collections.ConfigDict:
    """Returns THUMOS-14's recipe with settings for a small data set and two CPU cores."""
    config = thumos14.get_config()
    with config.unlocked():
        common.for_demo(config)
        config.bank.snippets_per_video = 40  # of about 60 per video; enough for 6 rows
        config.optimizer.learning_rate = 5e-4  # for a small network and few steps
        config.train.snippets = 48  # of about 60 per video
        config.train.steps = 400
    return config
