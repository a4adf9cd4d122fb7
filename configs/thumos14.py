"""TSC-Net on THUMOS-14 with I3D features (RGB + flow, 2048), as published.

  python -m launch.prepare --layout joint --source THUMOS_DIR --name thumos14
  python -m launch.train --config=configs/thumos14.py --workdir=runs/thumos14

The paper reports an average mAP@0.1:0.7 of 46.3: the best of 171 evaluations on the test set, which this
library calls "best on test". This recipe has not been run on THUMOS-14, because the features must be obtained
from their publishers.

"paper" marks settings of Lin et al., 2025, as in the code that its authors released; "ours" marks settings
of this library.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """Returns the recipe; every other recipe changes a few lines of it."""
    config = ml_collections.ConfigDict()
    config.method = "tscnet"  # name of a folder in tsc_jax/methods

    config.data = ml_collections.ConfigDict()
    config.data.name = "thumos14"  # name of the data set, as in launch.prepare --name
    config.data.data_dir = "data"  # folder of prepared data sets
    config.data.min_snippets = 1  # shorter videos are left out, but their ground truth counts in the evaluation

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

    config.optimizer = optimizer = ml_collections.ConfigDict()
    optimizer.learning_rate = 5e-5  # paper
    optimizer.beta1 = 0.9  # Adam's default
    optimizer.beta2 = 0.999  # Adam's default
    optimizer.epsilon = 1e-8  # Adam's default
    optimizer.weight_decay = 1e-3  # added to the gradient of every parameter; paper
    optimizer.milestones = ()  # steps after which milestone_factor multiplies the learning rate; none; paper
    optimizer.milestone_factor = 0.1

    config.train = train = ml_collections.ConfigDict()
    train.seed = 0
    train.seeds = 1  # number of runs to train together, with this seed and the following ones
    train.steps = 3010  # paper
    train.batches = "pairs"  # some videos in pairs of one class, resampled to T; or "epochs": whole videos; paper
    train.batch_size = 10  # videos per step on all devices together; paper
    train.pairs = 3  # pairs of videos in the batch that share a class; paper
    train.snippets = 320  # T to which every video is resampled; paper
    train.log_every = 10  # steps

    config.checkpoint = checkpoint = ml_collections.ConfigDict()
    checkpoint.every_steps = 500
    checkpoint.every_minutes = 10.0  # whichever of the two comes first
    checkpoint.keep = 2  # steps to keep per selection; more than one, in case the newest is damaged

    config.proposals = proposals = ml_collections.ConfigDict()
    proposals.topk_ratio = 10  # video score: mean of the T // 10 largest activations; paper
    proposals.classification_topk_ratio = 8  # class score: mean of the ceil(T / 8) largest activations; paper
    proposals.class_threshold = 0.2  # on the video score; the best class is always kept; paper
    proposals.attention_thresholds = (0.1, 0.9, 10)  # first, last, number; paper
    proposals.outer_ratio = 0.25  # width of the outer region, as a share of the proposal's length; paper
    proposals.video_score_weight = 0.2  # weight of the video score in the score of a proposal; paper
    proposals.nms_sigma = 0.3  # of the Gaussian soft-NMS; paper

    config.eval = evaluation = ml_collections.ConfigDict()
    evaluation.protocol = "published"  # rounds ground truth to snippets, like the paper; or "seconds"
    evaluation.tiou = "0.1:0.9:0.1"
    evaluation.select_by = "0.1:0.7"  # the average mAP that chooses the best step; paper
    evaluation.holdout = 0.0  # share of the training videos to hold out for choosing the best step; none; paper
    evaluation.every = 10  # steps between evaluations; paper
    evaluation.after = 1300  # no evaluation before this step; paper
    evaluation.batch_snippets = 8192  # largest number of padded snippets in a test batch
    evaluation.figures = 4  # number of test videos to draw

    return config.lock()
