"""MMSD on the embedded recordings: smartwatch sessions with 5 exercises as actions, one modality.

python -m launch.prepare --name watch_sessions
python -m launch.train --config=configs/mmsd_demo.py --workdir=runs/mmsd_demo
"""

import ml_collections

from configs import common, mmsd_thumos14


def get_config() -> ml_collections.ConfigDict:
    """Returns THUMOS-14's recipe with settings for a small data set and two CPU cores."""
    config = mmsd_thumos14.get_config()
    with config.unlocked():
        common.for_demo(config)
        config.model.modalities = 1
        config.model.embedding_width = 64  # of features of width 24
        config.pseudo.refresh_epochs = (12, 24)  # of 36
        config.optimizer.learning_rate = 2e-3  # for a small network and few steps
        config.optimizer.milestones = ()
        config.train.steps = 400
    return config
