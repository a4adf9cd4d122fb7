"""The studies of self-training; configs/self_training.py explains the keys."""

from tsc_jax.configs.studies import Variants
from tsc_jax.localization import steps


def labels(least_share: float) -> Variants:
    """Varies how the teacher's proposals become pseudo labels."""
    others = [each for each in (0.3, 0.5, 0.6, 0.7) if each != least_share]
    return {
        f"recipe: NMS, share {least_share:g}": {},
        **{f"share {each:g}": {"labels.least_share": each} for each in others},
        "Gaussian fusion": {"labels.fusion": "gaussian"},
        "Ricker fusion": {"labels.fusion": "ricker"},
        "density 0.5": {"labels.density_power": 0.5},
        "attention alone": {"labels.tracks": "attention"},
        "activations": {"labels.score": "activations", "labels.video_score": "added"},
    }


def ceiling() -> Variants:
    """What the students reach with the true segments of the training videos; the base takes no part."""
    truth = {"labels.source": "annotations", "student.weight": 1.0}
    return {"recipe": {}, "true segments": truth, "true segments, regression": truth | {"student.kind": "regression"}}


def student() -> Variants:
    """Varies the student."""
    return {
        "recipe": {},
        "student alone": {"student.weight": 1.0},
        "student 0.75": {"student.weight": 0.75},
        "regression": {"student.kind": "regression"},
        "no label smoothing": {"student.label_smoothing": 0.0},
        "label smoothing 0.2": {"student.label_smoothing": 0.2},
        "no dropout": {"student.input_dropout": 0.0, "student.dropout": 0.0},
        "dropout 0.5": {"student.input_dropout": 0.5, "student.dropout": 0.5},
        "no blocks": {"student.blocks": 0},
        "4 blocks": {"student.blocks": 4},
        "published localization": {f"proposals.{key}": value for key, value in steps.PUBLISHED.items()},
    }


def rounds(length: int) -> Variants:
    """Varies the number of rounds."""
    return {"recipe: 1 round": {}} | {f"{number} rounds": {"train.steps": number * length} for number in (2, 3)}


def votes() -> Variants:
    """Lets several seeds teach; nothing is held out, because each seed has held out other videos."""
    alone = {"eval.holdout": 0.0}
    several = {f"{number} teachers": alone | {"base.seeds": number} for number in (2, 4)}
    return {"recipe: 1 teacher": alone} | several


STUDIES = {
    "labels": lambda config, classes: labels(config.labels.least_share),
    "student": lambda config, classes: student(),
    "ceiling": lambda config, classes: ceiling(),
    "rounds": lambda config, classes: rounds(config.student.round_steps),
    "votes": lambda config, classes: votes(),
}
