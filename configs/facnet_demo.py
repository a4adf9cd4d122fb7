"""FAC-Net on the embedded recordings: smartwatch workouts with 5 exercises as actions, one modality.

python -m launch.prepare --name watch_workouts
python -m launch.train --config=configs/facnet_demo.py --workdir=runs/facnet_demo
"""

import ml_collections

from tsc_jax.configs import common, facnet_thumos14


def get_config() -> ml_collections.ConfigDict:
    """Returns THUMOS-14's recipe with settings for a small data set and two CPU cores; the changes are ours."""
    config = facnet_thumos14.get_config()
    with config.unlocked():
        common.for_demo(config)
        config.model.modalities = 1
        config.model.embedding_width = 64
        config.optimizer.learning_rate = 2e-3  # the best of 5e-4, 1e-3, 2e-3 and 4e-3 on held-out watch sessions
        config.train.steps = 1000
        config.eval.every = 200
        config.eval.after = 200
    return config
