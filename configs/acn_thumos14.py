"""ACN on THUMOS-14 with I3D features (RGB + flow, 2048): a stage on top of a finished run of TSC-Net.

  python -m launch.train --config=configs/thumos14.py --workdir=runs/thumos14
  python -m launch.train --config=configs/acn_thumos14.py --workdir=runs/acn_thumos14

With --config.base.workdir any other method's run or export is the base. The paper (Zhai et al., ICIP 2019) reports
mAP@0.3:0.7 of 35.9, 30.7, 24.2, 15.7, 7.4 on UntrimmedNet's scores and features; no code was published. This recipe has
not been run on THUMOS-14, because the features must be obtained from their publishers.

"paper" marks settings of the paper; "ours" marks what the paper leaves open, and what another base needs.
configs/common.py explains the sections that are not here.
"""

import ml_collections

from tsc_jax.configs import common


def get_config() -> ml_collections.ConfigDict:
    """Returns the recipe."""
    config = common.sections()
    config.method = "acn"
    config.data.name = "thumos14"
    config.base = common.base_section()
    config.base.workdir = "runs/thumos14"

    config.model = model = ml_collections.ConfigDict()
    model.modalities = 2  # RGB, then optical flow, each with regressors of its own; 1: one modality or joint features
    model.dtype = "float32"  # type of the computation: float32 or bfloat16; parameters are float32
    model.hidden = 256  # H, hidden width of a regressor; paper
    # of a regressor: "skipped": P // 4 snippets are skipped, as the printed receptive field says; "quarter": P // 4,
    # but at least 1, as the printed dilation says
    model.dilation = "skipped"
    model.input = "features"  # of a regressor; or "features+scp": with the evidence, which a figure suggests

    config.evidence = evidence = ml_collections.ConfigDict()
    # "range": evidence goes from 0 at quantile `low` to 1 at quantile `high` of the base's probabilities of the
    # labelled classes in all training videos (ours); "none": the probabilities as they are (paper)
    evidence.scale = "range"
    evidence.low = 0.05  # ours
    evidence.high = 0.95  # ours
    # attention below which a snippet has no evidence at test, one per stream; (7, 5) on UntrimmedNet in the paper. ():
    # the quantile `attention_quantile` of the attention in all training videos (ours)
    evidence.attention_thresholds = ()
    evidence.attention_quantile = 0.5

    config.intervals = intervals = ml_collections.ConfigDict()
    intervals.anchors = (1, 2, 4, 8, 16, 32)  # sizes P, in snippets; paper
    # "printed": bounds are times; "inclusive": bounds are snippets, and both belong to the interval
    intervals.reading = "printed"
    intervals.outer_min = 0.0  # least width of a flank, in snippets; it is P / 4 in the paper

    config.confidence = confidence = ml_collections.ConfigDict()
    confidence.terms = "both"  # or "contrast" (L_oic) or "coherence" (L_c) alone, the paper's ablations
    confidence.alpha = 0.6  # share of the contrast; paper

    config.selection = selection = ml_collections.ConfigDict()
    selection.evidence = 0.1  # a snippet with less is bad; paper
    # which intervals are out: "any": those that cover a bad snippet (paper); "centre": those whose middle is bad
    selection.veto = "any"
    # classes of a video in training: "labels" (ours), or "scores" above `class_threshold` (paper)
    selection.training_classes = "labels"
    # at test: "gate": those of the base's own proposals (ours), or "scores" above `class_threshold`
    selection.test_classes = "gate"
    # which scores: "base": the class scores of the base; "evidence": means of the T // topk_ratio largest evidence
    selection.scores = "base"
    selection.topk_ratio = 8  # ours
    selection.class_threshold = 0.1  # paper

    config.loss = ml_collections.ConfigDict()
    config.loss.weights = ml_collections.ConfigDict({"confidence": 1.0})  # of each stream

    config.optimizer = optimizer = ml_collections.ConfigDict()  # plain SGD
    optimizer.learning_rate = 1e-3  # paper
    optimizer.epoch_factors = (1.0, 0.1, 0.01)  # of the learning rate, per epoch; the last one stays; paper

    config.train.steps = 150  # 3 epochs of 200 videos; paper
    config.train.batch_size = 4  # paper
    config.train.batches = "epochs"  # ours: without replacement

    config.proposals = proposals = ml_collections.ConfigDict()
    proposals.nms_limit = 0.4  # tIoU above which the worse proposal is removed; paper
    proposals.fusion_limit = 0.4  # an RGB proposal must overlap all of flow's less; paper
    proposals.rgb_weight = 0.5  # of the scores of RGB; paper

    config.checkpoint.every_steps = 50
    config.eval.every = 10
    config.eval.after = 50

    return config.lock()
