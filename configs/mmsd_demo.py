"""MMSD on the embedded recordings: smartwatch workouts with 5 exercises as actions, one modality.

python -m launch.prepare --name watch_workouts
python -m launch.train --config=configs/mmsd_demo.py --workdir=runs/mmsd_demo
"""

import ml_collections

from tsc_jax.configs import common, mmsd_thumos14


def get_config() -> ml_collections.ConfigDict:
    """Returns THUMOS-14's recipe with settings for a small data set and two CPU cores."""
    config = mmsd_thumos14.get_config()
    with config.unlocked():
        common.for_demo(config)
        config.model.modalities = 1
        config.model.embedding_width = 64  # of features of width 96
        config.pseudo.refresh_epochs = (12, 24)  # of 37
        config.optimizer.learning_rate = 1e-3  # the best of 5e-4, 1e-3, 2e-3 and 4e-3 on held-out watch sessions
        config.optimizer.milestones = ()
        config.train.steps = 400
    return config
