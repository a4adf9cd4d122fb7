"""The recipes load, are locked, make a network, and hold what was published."""

import pytest

from configs import recipe
from tsc_jax import methods
from tsc_jax.method import Sizes


@pytest.mark.parametrize("data", ["thumos14", "demo", "activitynet13"])
def test_every_recipe_makes_a_network_and_refuses_a_misspelt_key(data):
    config = recipe("facnet", data)
    assert methods.make(config, Sizes(5, 24)).refresh_at == ()
    with pytest.raises(AttributeError):
        config.model.scales = 3.0


def test_thumos14_is_the_published_recipe():
    config = recipe("facnet", "thumos14")
    optimizer, train = config.optimizer, config.train
    assert (optimizer.learning_rate, optimizer.beta1, optimizer.beta2) == (1e-4, 0.9, 0.99)
    assert (optimizer.epsilon, optimizer.weight_decay, optimizer.milestones) == (1e-8, 5e-3, ())
    assert (train.steps, train.batch_size, train.batches, train.sampling) == (2000, 10, "epochs", "all")
    assert config.loss.weights.to_dict() == {"class_wise": 1.0, "class_agnostic": 0.1, "instances": 0.1}
