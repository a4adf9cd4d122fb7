"""RSKP on THUMOS-14 with I3D features (RGB + flow, 2048), as published.

  python -m launch.prepare --layout joint --source THUMOS_DIR --name thumos14
  python -m launch.train --config=configs/rskp_thumos14.py --workdir=runs/rskp_thumos14

The paper reports an average mAP@0.1:0.7 of 45.1: the best of the evaluations on the test set after every fifth epoch,
which this library calls "best on test". This recipe has not been run on THUMOS-14, because the features must be
obtained from their publishers.

"published" marks settings of Huang et al., CVPR 2022, as in the code that its authors released; "ours" marks settings
of this library. configs/common.py explains the sections that are not here.
"""

import ml_collections

from tsc_jax.configs import common


def get_config() -> ml_collections.ConfigDict:
    """Returns the recipe; the other recipes of RSKP change a few lines of it."""
    config = common.sections()
    config.method = "rskp"
    config.data.name = "thumos14"

    config.model = model = ml_collections.ConfigDict()
    model.dtype = "float32"  # type of the embedding's computation: float32 or bfloat16; parameters are float32
    model.embedding_width = 2048  # width E of the embedding; published
    model.dropout = 0.6  # on the embedding; published
    model.prototypes = 8  # K, representative snippets of a video; published
    model.em_rounds = 2  # published
    model.assignment_scale = 5.0  # of the cosines of snippets and prototypes; published
    model.walk_weight = 0.5  # share of a step of the random walk that crosses to the other side; published
    model.scale = 20.0  # of the cosines of snippets and class centres; published
    model.main_weight = 0.6  # share of the main branch at test time, the rest is the intra-video branch; published
    model.test_snippets = 0  # evenly spaced snippets that are used of a longer video at test time; 0: all; published

    config.memory = memory = ml_collections.ConfigDict()
    memory.slots = 5  # S, prototypes to keep per class; published
    memory.warmup_epochs = 101  # epochs before the memory is filled and the inter-video branch begins; published
    # Largest number of classes of a training video, which bounds the prototypes that a video reads; a video with more
    # is refused. 0: no bound, which costs time where there are many classes. THUMOS-14 has 3.
    memory.labels = 3

    config.loss = loss = ml_collections.ConfigDict()
    loss.temperature = 0.2  # of the pseudo labels; published
    loss.inter_share = 0.2  # of the inter-video branch in the pseudo labels; published
    loss.attention_ratio = 8  # the attention loss takes the T // 8 smallest and largest values; published
    loss.weights = ml_collections.ConfigDict()
    loss.weights.class_agnostic = 1.0  # of a branch, pooled by the class-agnostic attention; published
    loss.weights.class_specific = 0.2  # of a branch, pooled by the attention of each class; published
    loss.weights.inter = 0.5  # multiplies both for the inter-video branch; published
    loss.weights.attention = 0.1  # published
    loss.weights.pseudo_labels_1 = 1.0  # before the memory is filled; published
    loss.weights.pseudo_labels_2 = 0.5  # after it; published

    config.optimizer.learning_rate = 5e-5  # published
    config.optimizer.beta2 = 0.99  # published
    config.optimizer.weight_decay = 5e-4  # published

    config.train.steps = 4000  # 200 epochs of 200 videos; published
    config.train.batches = "epochs"  # published
    config.train.sampling = "all"  # published
    config.train.batch_size = 10  # videos whose gradients are summed for a step; published

    config.proposals = proposals = common.class_tracks_section()
    proposals.class_threshold = 0.1  # published
    proposals.thresholds = (0.001, 0.039, 20)  # published
    proposals.shortest = 2  # published
    proposals.outer_weight = 1.0  # published
    proposals.nms_limit = 0.5  # published

    config.eval.tiou = "0.1:0.7:0.1"  # published
    config.eval.select_by = "0.1:0.7"  # published
    config.eval.every = 100  # 5 epochs; published
    config.eval.after = 100  # published

    return config.lock()
