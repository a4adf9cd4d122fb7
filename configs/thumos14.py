"""TSC-Net on THUMOS-14 with I3D features (RGB + flow, 2048), as published.

  python -m launch.prepare --layout joint --source THUMOS_DIR --name thumos14
  python -m launch.train --config=configs/thumos14.py --workdir=runs/thumos14

The paper reports an average mAP@0.1:0.7 of 46.3: the best of 171 evaluations on the test
set, which is what this library calls "best on test". Not run here: the features are to be
had from their publishers.

"paper" is Lin et al., 2025, by the code its authors released.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """The recipe; every other recipe is this one with a few lines changed."""
    config = ml_collections.ConfigDict()
    config.method = "tscnet"  # a folder of tsc_jax/methods

    config.data = ml_collections.ConfigDict()
    config.data.name = "thumos14"  # as given to launch.prepare --name
    config.data.data_dir = "data"  # where launch.prepare writes
    config.data.min_snippets = 1  # shorter videos are not used; their ground truth is kept (ActivityNet)

    config.model = model = ml_collections.ConfigDict()
    model.dtype = "float32"  # of the computation: float32 or bfloat16; parameters are float32
    model.mfip = True  # whether the pyramid does anything, or hands on the features
    model.tce = True  # likewise the temporal correlation enhancement
    model.dsa = True  # likewise the dataset-wide semantic awareness
    model.slope = 0.2  # of every LeakyReLU; paper
    model.pyramid_kernels = (1, 3, 5)  # MFIP; paper
    model.pyramid_fuse_kernel = 3  # paper
    model.tce_heads = 4  # paper
    model.dsa_heads = 8  # paper
    model.dsa_head_width = 64  # whatever the feature width; paper
    model.dsa_bank_dropout = 0.5  # on the attention over bank rows; paper
    model.dsa_dropout = 0.7  # paper
    model.attention_channels = 0.25  # of the feature width: 512 of 2048; paper
    model.classifier_dropout = 0.7  # paper
    model.attention_dropout = 0.5  # paper
    model.norm_momentum = 0.1  # weight of the new batch; PyTorch's default
    model.norm_epsilon = 1e-5  # PyTorch's default
    model.fusion_weight = 0.55  # of the temporal branch, at test time only; paper

    config.bank = bank = ml_collections.ConfigDict()
    bank.rows = 0  # 0: one for each class and one for background, C + 1; paper
    bank.source = "mixture"  # what the rows are before the first step: or "kmeans", "class_means"; paper
    bank.covariance = "diag"  # of the mixture: or "full", "spherical"; published
    bank.update_rule = "gradient"  # or "frozen", "ema"; paper
    bank.momentum = 0.9  # of a row under "ema", a step; ours
    bank.snippets_per_video = 320  # that the mixture is fitted on; paper
    bank.max_iterations = 100  # scikit-learn's default
    bank.tolerance = 1e-3  # gain of log-likelihood a snippet; scikit-learn's default

    config.loss = loss = ml_collections.ConfigDict()
    loss.topk_ratio = 7  # pooled are the T // 7 largest activations; paper
    loss.label_smoothing = 1e-4  # added to the number of labels; paper
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
    optimizer.weight_decay = 1e-3  # coupled, on everything that is trained; paper
    optimizer.milestones = ()  # steps after which the learning rate is multiplied by milestone_factor; none, paper
    optimizer.milestone_factor = 0.1

    config.train = train = ml_collections.ConfigDict()
    train.seed = 0
    train.seeds = 1  # how many runs to train together: of this seed and of those that follow it
    train.steps = 3010  # paper
    train.batches = "pairs"  # videos drawn with pairs, resampled to T; or "epochs": whole videos, each once; paper
    train.batch_size = 10  # videos, over all devices; paper
    train.pairs = 3  # pairs of videos that share a class, of the batch; paper
    train.snippets = 320  # T that every video is resampled to; paper
    train.log_every = 10  # steps

    config.checkpoint = checkpoint = ml_collections.ConfigDict()
    checkpoint.every_steps = 500
    checkpoint.every_minutes = 10.0  # whichever comes first
    checkpoint.keep = 2  # steps of each selection; more than one, so that a damaged one does not end a run

    config.proposals = proposals = ml_collections.ConfigDict()
    proposals.topk_ratio = 10  # video score: mean of the T // 10 largest activations; paper
    proposals.classification_topk_ratio = 8  # class score: mean of the ceil(T / 8) largest activations; paper
    proposals.class_threshold = 0.2  # on the video score; paper
    proposals.attention_thresholds = (0.1, 0.9, 10)  # first, last, number; paper
    proposals.outer_ratio = 0.25  # width of the outer band, of the proposal's length; paper
    proposals.video_score_weight = 0.2  # paper
    proposals.nms_sigma = 0.3  # of the Gaussian soft-NMS; paper

    config.eval = evaluation = ml_collections.ConfigDict()
    evaluation.protocol = "published"  # ground truth rounded to snippets, as the paper; or "seconds"
    evaluation.tiou = "0.1:0.9:0.1"
    evaluation.select_by = "0.1:0.7"  # the average mAP that tells which step is best; paper
    evaluation.holdout = 0.0  # share of training videos that only tell which step is best; paper: none
    evaluation.every = 10  # steps; paper
    evaluation.after = 1300  # steps; paper
    evaluation.batch_snippets = 8192  # padded snippets of a test batch, at most
    evaluation.figures = 4  # test videos to draw

    return config.lock()
