"""The sections that the recipes of all methods share; each recipe changes what its method needs."""

import ml_collections

from tsc_jax.localization import steps


def sections() -> ml_collections.ConfigDict:
    """Returns a recipe without the sections of a method."""
    config = ml_collections.ConfigDict()
    config.method = ""  # name of a folder in tsc_jax/methods

    config.data = ml_collections.ConfigDict()
    config.data.name = ""  # name of the data set, as in launch.prepare --name
    config.data.data_dir = "data"  # folder of prepared data sets
    config.data.min_snippets = 1  # shorter videos are left out, but their ground truth counts in the evaluation

    config.optimizer = optimizer = ml_collections.ConfigDict()
    optimizer.learning_rate = 1e-4
    optimizer.beta1 = 0.9  # Adam's default
    optimizer.beta2 = 0.999  # Adam's default
    optimizer.epsilon = 1e-8  # Adam's default
    optimizer.weight_decay = 0.0  # added to the gradient of every parameter
    optimizer.milestones = ()  # steps after which milestone_factor multiplies the learning rate
    optimizer.milestone_factor = 0.1

    config.train = train = ml_collections.ConfigDict()
    train.seed = 0
    train.seeds = 1  # number of runs to train together, with this seed and the following ones
    train.steps = 1000
    # "pairs": with replacement, some in pairs of one class, resampled to T; "epochs": every video once per epoch
    train.batches = "epochs"
    # snippets that "epochs" takes of a video: "all"; "subset": at most T; "spans": one from each of T equal spans
    train.sampling = "all"
    train.snippets = 320  # T
    train.batch_size = 10  # videos per step on all devices together
    train.pairs = 0  # pairs of videos in the batch that share a class
    train.log_every = 10  # steps

    # Post-processing: snippets of a video with similar features share their activations, at test time only
    config.refine = refine = ml_collections.ConfigDict()
    refine.strength = 0.0  # of the pull, 0: off; 1 is a good start
    refine.laplacian = "mean"  # divides the strength by the number of snippets; "sum" does not
    # 2 eps^2 of the affinities exp(-distance^2 / (2 eps^2)): "median" of the squared distances between the snippets of
    # the video, or "width" of the features
    refine.bandwidth = "median"

    # How segments are read from activations and attention: "published", the method's own way (`config.proposals`), or
    # the "steps" of tsc_jax/localization/steps.py, where the other settings are explained
    config.localization = ml_collections.ConfigDict({"by": "published"} | steps.PUBLISHED)

    config.checkpoint = checkpoint = ml_collections.ConfigDict()
    checkpoint.every_steps = 500
    checkpoint.every_minutes = 10.0  # whichever of the two comes first
    checkpoint.keep = 2  # steps to keep per selection; more than one, in case the newest is damaged

    config.eval = evaluation = ml_collections.ConfigDict()
    evaluation.protocol = "published"  # rounds ground truth to snippets, like the papers; or "seconds"
    evaluation.tiou = "0.1:0.9:0.1"
    evaluation.select_by = "0.1:0.7"  # the average mAP that chooses the best step
    evaluation.holdout = 0.0  # share of the training videos to hold out for choosing the best step
    evaluation.every = 100  # steps between evaluations
    evaluation.after = 1  # no evaluation before this step
    # path of Ambiguous_test.txt, whose stretches FAC-Net, RSKP and MMSD exclude: a prediction that shares a snippet
    # with one is dropped; "": none is
    evaluation.ambiguous = ""
    evaluation.batch_snippets = 8192  # largest number of padded snippets in a test batch
    evaluation.figures = 4  # number of test videos to draw

    return config


def class_tracks_section() -> ml_collections.ConfigDict:
    """Returns the section `proposals` of FAC-Net, RSKP and MMSD, with what their published code has in common."""
    proposals = ml_collections.ConfigDict()
    proposals.class_threshold = 0.1  # on the class score of the video
    proposals.at_least_one_class = False  # whether a video without such a class gets its best one; published
    proposals.thresholds = (0.1, 0.9, 9)  # on the track of a class: first, last, number
    proposals.upsampling = 1  # values per snippet to which tracks are interpolated before thresholding; published
    proposals.shortest = 2  # snippets, or values of the interpolated track, of the shortest run
    proposals.outer_ratio = 0.25  # width of each outer band, as a share of the run's length; published
    proposals.outer_weight = 1.0  # of the outer mean, which is subtracted from the inner one
    # snippets after a run that belong to its proposal, 0 or 1; with 1, the last snippet of the video is never in the
    # outer band; published
    proposals.overrun = 1
    proposals.nms_limit = 0.5  # largest overlap with a better proposal
    # the share of the worse proposal that the better one covers, "covered_share"; or "tiou"; published
    proposals.nms_overlap = "covered_share"
    proposals.nms_pixels = True  # whether NMS takes lengths as end - start + 1, as of pixels; published
    return proposals


def base_section() -> ml_collections.ConfigDict:
    """Returns the section `base` of a stage: a method that stands on the finished run of another one."""
    base = ml_collections.ConfigDict()
    # workdir or export of the base; if it holds several seeds, the run of seed k stands on seed_k. Read once, before
    # the first step. What config.eval.holdout holds out, the base must have held out too: same seed, same share.
    base.workdir = ""
    # of those seeds, how many are bases together: that of the run, and those that follow it, from the last to the first
    base.seeds = 1
    base.selection = "last"  # which checkpoint of the base: last, best_on_holdout or best_on_test
    base.recipe = ml_collections.ConfigDict()  # of the base; training fills it in
    return base


def for_demo(config: ml_collections.ConfigDict) -> None:
    """Points a recipe at the embedded recordings of smartwatches, with settings for two CPU cores."""
    config.data.name = "watch_workouts"
    config.train.log_every = 20
    config.checkpoint.every_steps = 100
    config.eval.protocol = "seconds"
    config.eval.holdout = 0.1
    config.eval.every = 100
    config.eval.after = 100
