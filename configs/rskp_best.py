"""RSKP with the most accurate second stage: self-training on its finished run.

  python -m launch.train --config=configs/rskp_demo.py --workdir=runs/rskp_demo
  python -m launch.train --config=configs/rskp_best.py:demo --workdir=runs/rskp_best_demo

After the colon stands the kind of the base's recipe, "thumos14" unless given; --config.base.workdir names another run.
"""

import ml_collections

from tsc_jax.configs import self_training


def get_config(data: str = "thumos14") -> ml_collections.ConfigDict:
    """Returns the recipe of configs/self_training.py on the run of RSKP's recipe for `data`."""
    return self_training.on("rskp", data)
