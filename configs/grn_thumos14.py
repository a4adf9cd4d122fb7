"""GRN on THUMOS-14 with I3D features (RGB + flow, 2048), as published where the paper says how.

  python -m launch.prepare --layout joint --source THUMOS_DIR --name thumos14
  python -m launch.train --config=configs/grn_thumos14.py --workdir=runs/grn_thumos14

The paper (Park et al., ICIP 2019) reports an mAP of 40.2, 32.2, 21.7 and 9.2 at tIoU 0.3, 0.4, 0.5 and 0.7, with
features at 10 frames per second. It gives few settings, and no code was published. This recipe has not been run on
THUMOS-14, because the features must be obtained from their publishers.

"paper" marks settings of the paper; "ours" marks settings of this library where the paper is silent.
configs/common.py explains the sections that are not here.
"""

import ml_collections

from tsc_jax.configs import common


def get_config() -> ml_collections.ConfigDict:
    """Returns the recipe; the other recipes of GRN change a few lines of it."""
    config = common.sections()
    config.method = "grn"
    config.data.name = "thumos14"

    config.model = model = ml_collections.ConfigDict()
    model.modalities = 2  # 2: RGB and flow, halves of the features, with a network each; 1: one network; paper
    model.dtype = "float32"  # type of the computation: float32 or bfloat16; parameters are float32
    model.hidden = 512  # width of the hidden layer of the class module; paper
    model.class_bias = False  # whether the last layer of the class module has a bias; paper
    model.embedding = True  # False: no graph module, affinities of the features ("w/o FE"; use bandwidth "median")
    model.channels = (256, 128, 64)  # of the graph module's convolutions; ours
    model.kernel = 3  # their width in snippets; ours
    model.norm = "batch"  # "video": statistics of each video, in training and at test time; paper
    model.norm_momentum = 0.1  # weight of the current batch; PyTorch's default
    model.norm_epsilon = 1e-5  # PyTorch's default
    # Video score: "mean" of all refined scores (with it, the classification loss does not reach the graph module), or
    # "topk": of the T // pool_ratio largest; paper
    model.pool = "mean"
    model.pool_ratio = 8  # ours
    model.test_snippets = 400  # at test time, evenly spaced; 0: all; paper

    config.graph = graph = ml_collections.ConfigDict()
    graph.refine = True  # False: the scores are used as they are ("w/o GR, FE"); paper
    graph.strength = 3.0  # mu T for "mean", mu for "sum"; changes only the test where pool is "mean"; ours
    graph.laplacian = "mean"  # divides the strength by the number of snippets T; "sum": as printed; ours
    # 2 eps^2 in exp(-distance^2 / (2 eps^2)): "width" of the embedding, or "median" of the video's distances^2
    graph.bandwidth = "width"  # ours

    config.loss = loss = ml_collections.ConfigDict()
    loss.clip = 1e-7  # video scores are clipped to [clip, 1 - clip]; ours
    loss.tau_high = 0.5  # snippets with a score of a true class above it count as known; ours
    loss.tau_low = 0.1  # and those below this one; ours
    loss.tau_scale = "absolute"  # "range": both are shares of the range of a class in the video; ours
    loss.low = "argmax"  # class of low snippets: the best one, as in figure 3, or "background", one for all; paper
    loss.weights = ml_collections.ConfigDict()
    loss.weights.affinity = 1.0  # paper
    loss.weights.classification = 1.0  # lambda; ours

    config.optimizer.learning_rate = 1e-4  # paper
    config.optimizer.graph_after = 1000  # steps before the graph module moves; paper
    config.optimizer.graph_factor = 1.0  # its learning rate after them, relative to that of the class module; paper

    config.train.steps = 10000  # ours
    config.train.batch_size = 16  # ours
    config.train.sampling = "subset"  # random snippets; paper
    config.train.snippets = 400  # at most, per video; paper

    config.proposals = proposals = ml_collections.ConfigDict()
    proposals.class_threshold = 0.1  # on the video score; a stream without such a class gives no proposals; paper
    proposals.thresholds = (0.1, 0.9, 9)  # on refined scores: first, last, number; ours
    proposals.threshold_scale = "absolute"  # "range": from the minimum to the maximum of a class in the video; ours
    proposals.merge_limit = 0.5  # runs of RGB and flow with a larger tIoU become one; at least 0.5; ours
    proposals.rgb_weight = 0.5  # alpha, weight of RGB in the fused scores; paper
    proposals.nms_limit = 0.5  # proposals that overlap a better one by a larger tIoU are removed; paper

    config.eval.every = 500  # ours
    config.eval.after = 1000  # ours

    return config.lock()
