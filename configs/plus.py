"""How segments are read from the outputs of any method so that mAP is highest: one setting for all data.

Nothing is trained for it: it changes localization only. configs/NAME_plus.py are the recipes of the methods with it,
and --config.localization.by=steps with the values below turns it on anywhere. It was chosen on the training videos of
three data sets; docs/ablations.md says what each part is worth.
"""

import ml_collections

# Settings of tsc_jax/localization/steps.py, where each is explained.
STEPS = {
    # Published: 0.2. In a video that shows several classes, often only one of them exceeds 0.2, and the proposals of
    # the others are lost.
    "class_threshold": 0.02,
    "tracks": "both",
    "upsampling": 8,
    "lone_first": True,
    # Published: "activations". They weigh a snippet of which the network is twice as sure twice as much. The square
    # root of a probability tells sure from unsure snippets, but hardly sure from very sure ones, so that short peaks
    # inside an action do not win against the action.
    "score": "probabilities",
    "score_power": 0.5,
    "bounds": "real",
    "video_score": "gate",
    # Published: 0.3. With more proposals, milder suppression is better.
    "nms_sigma": 0.5,
    "nms_pixels": False,
}

CHANGES = {"localization.by": "steps"} | {f"localization.{key}": value for key, value in STEPS.items()}

# What --localization offers, as changes of a recipe.
CHOICES = {"published": {"localization.by": "published"}, "plus": CHANGES}


def improve(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """Applies the changes to a recipe and returns it."""
    with config.unlocked():
        config.update_from_flattened_dict(CHANGES)
    return config
