"""FAC-Net on THUMOS-14 with I3D features (RGB + flow, 2048), as published.

  python -m launch.prepare --layout joint --source THUMOS_DIR --name thumos14
  python -m launch.train --config=configs/facnet_thumos14.py --workdir=runs/facnet_thumos14

The paper reports an average mAP@0.1:0.7 of 42.2: the best of 20 evaluations of each modality on the test set,
which this library calls "best on test". This recipe has not been run on THUMOS-14, because the features must be
obtained from their publishers.

"published" marks settings of Huang et al., 2021, as in the code that its authors released; "ours" marks settings of
this library. configs/common.py explains the sections that are not here.
"""

import ml_collections

from tsc_jax.configs import common


def get_config() -> ml_collections.ConfigDict:
    """Returns the recipe; the other recipes of FAC-Net change a few lines of it."""
    config = common.sections()
    config.method = "facnet"
    config.data.name = "thumos14"

    config.model = model = ml_collections.ConfigDict()
    model.dtype = "float32"  # of the embedding: float32 or bfloat16; parameters and branches are float32
    # 2: the first half of the features is RGB, the second optical flow, with a network each; 1: one network; published
    model.modalities = 2
    model.embedding_width = 1024  # E; the hidden layer is as wide as the features of a modality; published
    model.dropout = 0.5  # after each of the two layers; published
    model.scale = 5.0  # of every cosine; published
    model.logit_factor = 2.0  # of the class logits, besides the scale; published
    model.temperatures = (1.0, 2.0, 5.0)  # factors of the scores in the attentions; published

    config.loss = loss = ml_collections.ConfigDict()
    loss.label_smoothing = 1e-8  # added to the number of labels of a video; published
    loss.weights = ml_collections.ConfigDict()  # of the losses, which are sums over the videos of a batch; published
    loss.weights.class_wise = 1.0
    loss.weights.class_agnostic = 0.1
    loss.weights.instances = 0.1

    config.optimizer.learning_rate = 1e-4  # published
    config.optimizer.beta2 = 0.99  # published
    config.optimizer.weight_decay = 5e-3  # added to the gradient of the sum; published

    config.train.steps = 2000  # 100 epochs of 200 videos; published
    config.train.batches = "epochs"  # published
    config.train.sampling = "all"  # published
    config.train.batch_size = 10  # published

    config.proposals = proposals = common.class_tracks_section()
    proposals.class_threshold = 0.1  # on the class-agnostic probability of the video; published
    proposals.thresholds = (0.03, 0.05, 5)  # on the class probability of snippets; published
    proposals.shortest = 3  # published
    proposals.outer_weight = 0.6  # published
    proposals.nms_limit = 0.2  # within a modality; published
    proposals.rgb_weight = 0.1  # of the scores of RGB's proposals in the fusion; published
    proposals.fusion_nms_limit = 0.9  # of the NMS over both modalities; published

    config.eval.select_by = "0.1:0.7"  # published
    config.eval.every = 100  # 5 epochs; published
    config.eval.after = 100  # published

    return config.lock()
