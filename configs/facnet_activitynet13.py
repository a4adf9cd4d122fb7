"""FAC-Net on ActivityNet-1.3 with I3D features (RGB + flow, 2048): a setting of ours.

  python -m launch.prepare --layout per_video --source ACTIVITYNET_DIR --name activitynet13
  python -m launch.train --config=configs/facnet_activitynet13.py --workdir=runs/facnet_activitynet13

The authors report a result on ActivityNet-1.3, but they published neither code nor settings for it. Every value below
is ours; those marked "as ACM-Net" follow the code base in which the authors ran it. This recipe has not been run,
because the features must be obtained from their publishers.
"""

import ml_collections

from tsc_jax.configs import facnet_thumos14


def get_config() -> ml_collections.ConfigDict:
    """Returns THUMOS-14's recipe with settings for ActivityNet-1.3."""
    config = facnet_thumos14.get_config()
    with config.unlocked():
        config.data.name = "activitynet13"
        config.model.modalities = 1  # RGB and flow joined; ours, as ACM-Net
        config.model.embedding_width = 2048  # ours
        config.optimizer.weight_decay = 1e-3  # ours, as ACM-Net
        config.train.batch_size = 16  # ours, as ACM-Net
        config.train.sampling = "spans"  # ours, as ACM-Net; testing uses whole videos
        config.train.snippets = 75  # ours, as ACM-Net
        config.train.steps = 20000  # about 32 epochs of 10,024 videos; ours
        config.train.log_every = 100  # ours
        config.checkpoint.every_steps = 1000  # ours
        config.proposals.at_least_one_class = True  # ours, as ACM-Net
        config.proposals.thresholds = (0.005, 0.02, 4)  # first and last as ACM-Net; ours
        config.proposals.shortest = 1  # videos of few snippets; ours
        config.proposals.outer_weight = 1.0  # plain inner-outer contrast; ours
        config.proposals.overrun = 0  # ours
        config.proposals.nms_limit = 0.9  # ours, as ACM-Net
        config.proposals.nms_overlap = "tiou"  # ours
        config.proposals.nms_pixels = False  # ours
        config.eval.tiou = "0.5:0.95:0.05"  # the usual thresholds; ours
        config.eval.select_by = "all"  # ours
        config.eval.every = 1000  # ours
        config.eval.after = 1000  # ours
    return config
