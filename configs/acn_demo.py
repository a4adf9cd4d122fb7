"""ACN on the embedded recordings: a stage on top of the demo's run.

python -m launch.train --config=configs/demo.py --workdir=runs/demo
python -m launch.train --config=configs/acn_demo.py --workdir=runs/acn_demo
"""

import ml_collections

from tsc_jax.configs import acn_thumos14, common


def get_config() -> ml_collections.ConfigDict:
    """Returns THUMOS-14's recipe with settings for a small data set and two CPU cores."""
    config = acn_thumos14.get_config()
    with config.unlocked():
        common.for_demo(config)
        config.base.workdir = "runs/demo"
        config.model.modalities = 1
        config.model.hidden = 32
        config.intervals.anchors = (2, 4, 8, 16)  # actions last 7 to 11 snippets
        # The published rule cuts an action at each snippet of low attention, and more than half of all snippets here
        # show actions; on held-out watch sessions this rule was better too.
        config.selection.veto = "centre"
        config.train.steps = 100
    return config
