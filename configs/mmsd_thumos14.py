"""MMSD on THUMOS-14 with I3D features (RGB + flow, 2048), as published.

  python -m launch.prepare --layout joint --source THUMOS_DIR --name thumos14
  python -m launch.train --config=configs/mmsd_thumos14.py --workdir=runs/mmsd_thumos14

The authors report an average mAP@0.1:0.7 of 43.6: the best of the evaluations on the test set after every tenth epoch,
which this library calls "best on test". This recipe has not been run on THUMOS-14, because the features must be
obtained from their publishers. There is no recipe for ActivityNet: the paper reports experiments there, but no
settings of them are public.

"published" marks settings of Huang, Wang and Li, IEEE TIP 2022, as in the code that its authors released; "ours" marks
settings of this library. configs/common.py explains the sections that are not here.
"""

import ml_collections

from tsc_jax.configs import common


def get_config() -> ml_collections.ConfigDict:
    """Returns the recipe; the other recipes of MMSD change a few lines of it."""
    config = common.sections()
    config.method = "mmsd"
    config.data.name = "thumos14"

    config.model = model = ml_collections.ConfigDict()
    model.dtype = "float32"  # type of the layers' computation: float32 or bfloat16; parameters are float32
    # 2: the first half of the columns is RGB, the second half optical flow; published. 1: one modality or one joint
    # feature, with a single stream; ours
    model.modalities = 2
    model.embedding_width = 1024  # E, of every layer; published
    model.dropout = 0.6  # after each layer; published
    model.scale = 20.0  # of the cosines of snippets and centres; published
    # Weights of the streams at test time, with two modalities. A weight of 0 leaves a stream out: with rgb 1 and the
    # others 0, the flow columns may be anything, for videos without flow.
    model.stream_weights = ml_collections.ConfigDict()
    model.stream_weights.rgb = 0.2  # published
    model.stream_weights.flow = 0.4  # published
    model.stream_weights.peer = 0.4  # published

    config.pseudo = pseudo = ml_collections.ConfigDict()
    # Epochs after which a pass over the training videos renews the pseudo labels; the first one starts their loss.
    # published
    pseudo.refresh_epochs = (40, 80, 120, 160, 200, 240)
    pseudo.attention_threshold = 0.55  # a snippet with more attention is labelled action; published
    pseudo.vote_threshold = 0.6  # least confidence of a stream that votes; published
    pseudo.vote_margin = 0.3  # least lead in confidence of a stream that votes on another one; published
    pseudo.vote_smoothing = 1e-4  # added to the number of voters; published

    config.loss = loss = ml_collections.ConfigDict()
    loss.label_smoothing = 1e-8  # added to the number of labels of a video; published
    loss.contrast_ratio = 8  # the contrast takes the T // 8 smallest and largest attentions; published
    loss.temperature = 0.2  # of the distillation; published
    loss.weights = ml_collections.ConfigDict()  # same for all streams
    loss.weights.class_agnostic = 1.0  # published
    loss.weights.class_specific = 0.5  # published
    loss.weights.contrast = 0.1  # published
    loss.weights.separation = 0.1  # published
    loss.weights.distillation = 0.1  # published
    loss.weights.pseudo_labels = 2.0  # published

    config.optimizer.learning_rate = 5e-5  # published
    config.optimizer.beta2 = 0.99  # published
    config.optimizer.weight_decay = 1e-3  # published
    config.optimizer.milestones = (1400,)  # 70 epochs of 200 videos; published
    config.optimizer.milestone_factor = 0.2  # published

    config.train.steps = 4800  # 240 epochs of 200 videos; published
    config.train.batches = "epochs"  # published
    config.train.sampling = "all"  # published
    config.train.batch_size = 10  # videos whose gradients are summed for a step; published

    config.proposals = proposals = common.class_tracks_section()
    proposals.class_threshold = 0.2  # published
    proposals.thresholds = (0.0003, 0.0098, 20)  # published
    proposals.shortest = 2  # published
    proposals.outer_weight = 1.0  # published
    proposals.nms_limit = 0.4  # published

    config.eval.tiou = "0.1:0.7:0.1"  # published
    config.eval.select_by = "0.1:0.7"  # published
    config.eval.every = 200  # 10 epochs; published
    config.eval.after = 200  # published

    return config.lock()
