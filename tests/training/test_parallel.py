"""The train step over devices: laid out once, dealt without loss."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import toy
from tests.data.test_batches import CLASSES, WIDTH, made_up_split
from tsc_jax import methods
from tsc_jax.data.batches import batch_maker, join
from tsc_jax.method import AXIS, Sizes, first_state
from tsc_jax.training.parallel import deal_runs, make_train_step, on_devices, on_one_device

SIZES = Sizes(CLASSES, WIDTH, 12, 480)


@pytest.mark.parametrize("runs", [1, 3, 11])
def test_the_step_is_compiled_once_and_states_come_back_one_by_one(runs, caplog):
    """States are laid out as the step returns them; 11 runs fill 6 of 8 devices, the last one with a copy."""
    recipe = toy.recipe(**{"train.batch_size": 8, "train.pairs": 0, "train.snippets": 6})
    alone, split = runs == 1, made_up_split()
    method = methods.make(recipe, SIZES, AXIS if alone else None, mapped=not alone)
    train_step = make_train_step(method, runs)
    makers = [batch_maker(split, recipe.train, seed, devices=8 if alone else 1) for seed in range(runs)]
    starts = [first_state(methods.make(recipe, SIZES), seed) for seed in range(runs)]
    state = on_devices(starts)
    for number, start in enumerate(starts):
        jax.tree.map(np.testing.assert_array_equal, jax.device_get(on_one_device(state, number)), jax.device_get(start))
    with jax.log_compiles(), caplog.at_level("WARNING", logger="jax"):
        for step in range(3):
            state, _ = train_step(state, join([maker(step) for maker in makers]))
    compiled = [record.getMessage() for record in caplog.records if "Finished XLA compilation" in record.getMessage()]
    assert len(compiled) == 1
    for number in range(runs):
        own = jax.device_get(on_one_device(state, number))
        assert (own.step, own.seed) == (3, number)


@given(st.integers(1, 40))
def test_runs_are_dealt_evenly_and_copies_fill_up(runs):
    dealt = deal_runs(np.arange(runs), runs)
    devices, each = dealt.shape
    assert devices <= jax.local_device_count() and devices * each < runs + each
    assert dealt.ravel()[:runs].tolist() == list(range(runs))
    assert not dealt.ravel()[runs:].any()
