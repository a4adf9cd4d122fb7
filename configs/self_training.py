"""Self-training: a second stage on top of the finished run of any method; see configs/NAME_best.py.

A student learns the segments that the run finds in the training videos, with the classes that their video-level labels
name: snippet by snippet, or where they start and end. All settings are ours.
"""

import ml_collections

from tsc_jax import configs
from tsc_jax.configs import common, plus
from tsc_jax.localization import steps


def on(method: str, data: str) -> ml_collections.ConfigDict:
    """Returns the recipe of self-training on the run of a method's recipe for "thumos14", "demo" and the like."""
    config, of_base = common.sections(), configs.recipe(method, data)
    with config.unlocked():
        for section in ("data", "eval"):
            config[section].update(of_base[section])
        config.checkpoint.update(of_base.checkpoint)
        config.method = "self_train"
        config.base = common.base_section()
        # Of several, separated by commas, the mean is taken.
        config.base.workdir = f"runs/{data if method == 'tscnet' else f'{method}_{data}'}"

        config.student = student = ml_collections.ConfigDict()
        # "snippet": classifies every snippet, and its segments are read from that as `proposals` says; "regression":
        # finds starts and ends itself, and of `proposals` only density and NMS apply
        student.kind = "snippet"
        student.dtype = "float32"  # type of the convolutions' computation: float32 or bfloat16
        student.channels = 128
        student.blocks = 2  # residual blocks
        student.input_dropout = 0.2
        student.dropout = 0.2  # after the first layer
        student.average = 0.99  # decay of the moving average of the weights, which is used in the end
        # of the snippet student: share of each label that is spread over all classes; without it the student is so sure
        # of itself that the classes of a video beside the best one are lost
        student.label_smoothing = 0.1
        # of the snippet student: class score of a video is the mean of the T // 10 largest activations
        student.topk_ratio = 10
        # of the snippet student: its share in the mean with its base, from which segments are read; with 1 the student
        # answers alone, and the base is not needed after training
        student.weight = 0.5
        # Steps of a round: then the student's own segments become the labels, and a new student begins. 600 train.steps
        # are two rounds
        student.round_steps = 300
        student.regression = ml_collections.ConfigDict(REGRESSION)

        config.labels = ml_collections.ConfigDict(steps.PUBLISHED | plus.STEPS | LABELS)
        config.proposals = ml_collections.ConfigDict(steps.PUBLISHED | plus.STEPS)

        config.optimizer.learning_rate = 1e-3
        config.optimizer.weight_decay = 0.05  # AdamW's, apart from the gradient
        config.optimizer.warmup = 20  # steps
        config.optimizer.last_factor = 0.05  # of the learning rate at the end of a round
        config.optimizer.clip = 1.0  # largest norm of the gradient

        config.train.steps = 300  # one round
        config.train.log_every = of_base.train.log_every
        config.train.batches = "epochs"
        config.train.sampling = "crop"
        config.train.snippets = 64
        config.train.batch_size = 16
        config.eval.after = config.eval.every = config.train.steps
    return config.lock()


LABELS = {
    # "base": what the base finds in the training videos; "annotations": their true segments, where there are any, which
    # is not weakly supervised, and shows what the student could reach
    "source": "base",
    # "none": the proposals that NMS leaves; or first each group of proposals becomes one: "gaussian", "ricker"
    "fusion": "none",
    "cover": 0.25,  # share of its length from which on a proposal belongs to a group; of "gaussian"
    "temperature": 0.2,  # of the means in a group, as a share of the best score; of "gaussian"
    "nms": "hard",
    "nms_limit": 0.0,
    "nms_pixels": False,
    "least_share": 0.5,  # of the best score of the video and class
}

# Of the regression student, a pyramid whose level l has cells of 2^l snippets.
REGRESSION = {
    "levels": 4,
    # snippets: where the distances from the middle of a cell to start and end are both less, the segment is of level 0;
    # where they are less than twice as much, of level 1, and so on; the last level takes all that is longer
    "first_range": 4.0,
    "centre_radius": 1.5,  # cells, from the middle of a segment to the middle of a cell that answers for it
    "focal_gamma": 2.0,  # of the focal loss: power of the missing probability
    "focal_alpha": 0.5,  # of the focal loss: weight of the class that is wanted; the others have 1 - alpha
    "loss_weight": 1.0,  # of the DIoU loss of the distances, next to the focal loss
    "prior": 0.01,  # class score of every cell before training
    "score_threshold": 0.001,  # on the class score of a cell; what is below is no proposal
    "most": 1000,  # proposals of a video before NMS
}
