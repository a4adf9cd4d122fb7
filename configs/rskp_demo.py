"""RSKP on the embedded recordings: smartwatch workouts with 5 exercises as actions.

python -m launch.prepare --name watch_workouts
python -m launch.train --config=configs/rskp_demo.py --workdir=runs/rskp_demo
"""

import ml_collections

from tsc_jax.configs import common, rskp_thumos14


def get_config() -> ml_collections.ConfigDict:
    """Returns THUMOS-14's recipe with settings for a small data set and two CPU cores."""
    config = rskp_thumos14.get_config()
    with config.unlocked():
        common.for_demo(config)
        config.model.embedding_width = 64
        config.memory.labels = 0  # a session shows all 5 exercises
        config.memory.warmup_epochs = 20
        config.optimizer.learning_rate = 5e-4  # the best of 5e-4, 1e-3, 2e-3 and 4e-3 on held-out watch sessions
        config.train.steps = 400
    return config
