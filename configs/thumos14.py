"""TSC-Net on THUMOS-14 with I3D features (RGB + flow, 2048), as published.

  python -m launch.prepare --layout joint --source THUMOS_DIR --name thumos14
  python -m launch.train --config=configs/thumos14.py --workdir=runs/thumos14

The paper reports an average mAP@0.1:0.7 of 46.3: the best of 171 evaluations on the test set, which this
library calls "best on test". This recipe has not been run on THUMOS-14, because the features must be obtained
from their publishers.

"paper" marks settings of Lin et al., 2025, as in the code that its authors released; "ours" marks settings
of this library. configs/common.py explains the sections that are not here.
"""

import ml_collections

from tsc_jax.configs import common


def get_config() -> ml_collections.ConfigDict:
    """Returns the recipe; the other recipes of TSC-Net change a few lines of it."""
    config = common.sections()
    config.method = "tscnet"
    config.data.name = "thumos14"

    config.model = model = ml_collections.ConfigDict()
    model.dtype = "float32"  # type of the computation: float32 or bfloat16; parameters are float32
    model.mfip = True  # whether to use the feature pyramid (MFIP)
    model.tce = True  # whether to use the temporal correlation enhancement
    model.dsa = True  # whether to use the dataset-wide semantic awareness
    model.slope = 0.2  # negative slope of every LeakyReLU; paper
    model.pyramid_kernels = (1, 3, 5)  # kernel widths of MFIP, in snippets; paper
    model.pyramid_fuse_kernel = 3  # paper
    model.tce_heads = 4  # paper
    model.dsa_heads = 8  # paper
    model.dsa_head_width = 64  # at any feature width; paper
    model.dsa_bank_dropout = 0.5  # on the attention over bank rows; paper
    model.dsa_dropout = 0.7  # paper
    model.attention_channels = 0.25  # as a share of the feature width: 512 of 2048; paper
    model.classifier_dropout = 0.7  # paper
    model.attention_dropout = 0.5  # paper
    model.norm_momentum = 0.1  # weight of the current batch; PyTorch's default
    model.norm_epsilon = 1e-5  # PyTorch's default
    model.fusion_weight = 0.55  # weight of the temporal branch, at test time only; paper

    config.bank = bank = ml_collections.ConfigDict()
    bank.rows = 0  # 0: one per class and one for background, C + 1; paper
    bank.source = "mixture"  # how the rows are fitted before the first step; or "kmeans", "class_means"; paper
    bank.covariance = "diag"  # of the mixture; or "full", "spherical"; paper
    bank.update_rule = "gradient"  # how training changes the rows; or "frozen", "ema"; paper
    bank.momentum = 0.9  # weight of the old row per step under "ema"; ours
    bank.snippets_per_video = 320  # to fit the rows on; at most 100,000 of all videos; paper
    bank.max_iterations = 100  # scikit-learn's default
    bank.tolerance = 1e-3  # least gain of log-likelihood per snippet; scikit-learn's default

    config.loss = loss = ml_collections.ConfigDict()
    loss.topk_ratio = 7  # pooling takes the mean of the T // 7 largest activations; paper
    loss.label_smoothing = 1e-4  # added to the number of labels of a video; paper
    loss.margin = 0.5  # of the contrastive loss; paper
    loss.weights = ml_collections.ConfigDict()  # same for both branches; paper
    loss.weights.mil = 1.0
    loss.weights.mil_suppressed = 1.0
    loss.weights.guide = 0.5
    loss.weights.contrastive = 1.0
    loss.weights.reconstruction = 1.0

    config.optimizer.learning_rate = 5e-5  # paper
    config.optimizer.weight_decay = 1e-3  # paper

    config.train.steps = 3010  # paper
    config.train.batches = "pairs"  # paper
    config.train.batch_size = 10  # paper
    config.train.pairs = 3  # paper
    config.train.snippets = 320  # T to which every video is resampled; paper

    config.proposals = proposals = ml_collections.ConfigDict()
    proposals.topk_ratio = 10  # video score: mean of the T // 10 largest activations; paper
    proposals.classification_topk_ratio = 8  # class score: mean of the ceil(T / 8) largest activations; paper
    proposals.class_threshold = 0.2  # on the video score; the best class is always kept; paper
    proposals.attention_thresholds = (0.1, 0.9, 10)  # first, last, number; paper
    proposals.outer_ratio = 0.25  # width of the outer region, as a share of the proposal's length; paper
    proposals.video_score_weight = 0.2  # weight of the video score in the score of a proposal; paper
    proposals.nms_sigma = 0.3  # of the Gaussian soft-NMS; paper

    config.eval.select_by = "0.1:0.7"  # paper
    config.eval.every = 10  # paper
    config.eval.after = 1300  # paper

    return config.lock()
