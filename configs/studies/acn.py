"""The studies of ACN; configs/acn_thumos14.py explains the keys."""

from tsc_jax.configs.studies import Variants


def terms() -> Variants:
    """The paper's ablation: the two terms of the confidence."""
    return {
        "published: both": {},
        "contrast alone": {"confidence.terms": "contrast"},
        "coherence alone": {"confidence.terms": "coherence"},
    }


def alpha(published: float) -> Variants:
    """Varies the share of the contrast in the confidence."""
    others = [each for each in (0.4, 0.5, 0.7, 0.8) if each != published]
    return {f"published: {published:g}": {}} | {f"{each:g}": {"confidence.alpha": each} for each in others}


def readings() -> Variants:
    """Varies how the paper is read where it leaves a choice open."""
    return {
        "recipe": {},
        "bounds are snippets": {"intervals.reading": "inclusive"},
        "flanks of a snippet or more": {"intervals.outer_min": 1.0},
        "bad snippets in the middle": {"selection.veto": "centre"},
        "dilation as printed": {"model.dilation": "quarter"},
        "regressors see the evidence": {"model.input": "features+scp"},
        "classes by scores": {"selection.training_classes": "scores", "selection.test_classes": "scores"},
        "evidence as it is": {"evidence.scale": "none"},
    }


STUDIES = {
    "terms": lambda config, classes: terms(),
    "alpha": lambda config, classes: alpha(config.confidence.alpha),
    "readings": lambda config, classes: readings(),
}
