"""Adam with coupled weight decay and a learning rate that steps down."""

import optax

from tsc_jax import settings as rules
from tsc_jax.errors import InputError


def make_optimizer(settings) -> optax.GradientTransformation:
    """Builds Adam from `config.optimizer`; the decay is added to the gradient before the moments, as in PyTorch."""
    return optax.chain(
        optax.add_decayed_weights(settings.weight_decay),
        optax.scale_by_adam(settings.beta1, settings.beta2, settings.epsilon),
        optax.scale_by_learning_rate(learning_rate(settings)),
    )


def learning_rate(settings) -> float | optax.Schedule:
    """The learning rate: constant, or multiplied by `milestone_factor` after each step in `milestones`."""
    if not settings.milestones:
        return settings.learning_rate
    factors = dict.fromkeys(settings.milestones, settings.milestone_factor)
    return optax.piecewise_constant_schedule(settings.learning_rate, factors)


def check_optimizer(settings) -> None:
    """Raises InputError for values of `config.optimizer` that no optimizer can use."""
    numbers = dict.fromkeys(("learning_rate", "weight_decay", "epsilon", "milestone_factor"), rules.NOT_NEGATIVE)
    rules.check("optimizer", settings, numbers | {"beta1": rules.BELOW_1, "beta2": rules.BELOW_1})
    steps = list(settings.milestones)
    if steps != sorted(set(steps)) or any(step < 1 for step in steps):
        raise InputError(f"config.optimizer.milestones is {tuple(steps)}, expected rising numbers of steps")
