"""Adam with coupled weight decay, whose learning rate steps down, against its equations in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from configs import thumos14
from tsc_jax.optimizer import learning_rate, make_optimizer


def test_the_learning_rate_is_multiplied_after_each_milestone():
    settings = thumos14.get_config().optimizer
    settings.milestones, settings.milestone_factor = (2, 5), 0.5
    rates = [float(learning_rate(settings)(step)) for step in range(7)]
    np.testing.assert_allclose(np.array(rates) / settings.learning_rate, [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25])
    settings.milestones = ()
    assert learning_rate(settings) == settings.learning_rate


def test_the_steps_are_those_of_adam_with_decay_in_the_gradient():
    settings = thumos14.get_config().optimizer
    settings.weight_decay, settings.learning_rate, settings.milestones = 0.1, 0.01, (3,)
    optimizer, rng = make_optimizer(settings), np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=4), jnp.float32)
    state, ours = optimizer.init(x), np.asarray(x, np.float64)
    step, m, v = jax.jit(optimizer.update), np.zeros(4), np.zeros(4)
    for count in range(1, 7):
        gradient = rng.normal(size=4).astype(np.float32)
        updates, state = step(gradient, state, x)
        x = optax.apply_updates(x, updates)
        decayed = gradient + settings.weight_decay * ours
        m = settings.beta1 * m + (1 - settings.beta1) * decayed
        v = settings.beta2 * v + (1 - settings.beta2) * decayed**2
        unbiased = m / (1 - settings.beta1**count), v / (1 - settings.beta2**count)
        rate = settings.learning_rate * (1 if count <= 3 else settings.milestone_factor)
        ours = ours - rate * unbiased[0] / (np.sqrt(unbiased[1]) + settings.epsilon)
        np.testing.assert_allclose(x, ours, rtol=1e-4, atol=1e-6)
