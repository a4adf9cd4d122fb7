"""Adam with coupled weight decay and a learning rate that steps down."""

import optax

from tsc_jax import settings as rules


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


RULES = dict.fromkeys(("learning_rate", "weight_decay", "milestone_factor"), rules.NOT_NEGATIVE) | {
    "beta1": rules.BELOW_1,
    "beta2": rules.BELOW_1,
    "epsilon": rules.POSITIVE,
    "milestones": rules.Rule(
        lambda value: all(map(rules.COUNT.holds, value)) and list(value) == sorted(set(value)),
        "rising numbers of steps",
    ),
}


def check_optimizer(settings) -> None:
    """Raises InputError for values of `config.optimizer` that no optimizer can use."""
    rules.check("optimizer", settings, RULES)
