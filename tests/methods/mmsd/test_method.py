"""When pseudo labels are renewed and count, where they are kept, and that dealing a batch changes nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import mmsd_thumos14
from tests.methods.mmsd.small import CLASSES, SIZES, WIDTH, make, ragged_batch, small_config, small_state
from tsc_jax.data.batches import deal
from tsc_jax.data.dataset import Split, Video
from tsc_jax.inference import Look
from tsc_jax.method import AXIS, Sizes
from tsc_jax.methods import mmsd
from tsc_jax.optimizer import learning_rate
from tsc_jax.training.parallel import make_train_step, replicate

STREAMS = ("rgb", "flow", "peer")


@pytest.mark.parametrize(
    ("batch_size", "epochs", "steps"),
    [(10, (40, 80), (48, 96)), (5, (1, 2), (2, 4)), (24, (1, 2), (0, 1)), (30, (1, 2), (0,)), (5, (), ())],
)
def test_labels_are_renewed_before_the_first_step_of_the_next_epoch(batch_size, epochs, steps):
    config = small_config(**{"train.batch_size": batch_size, "pseudo.refresh_epochs": epochs})
    assert make(config, Sizes(CLASSES, WIDTH, 12, 100)).refresh_at == steps


def test_weights_without_known_data_make_a_method():
    method = make(small_config(), Sizes(CLASSES, WIDTH))
    assert method.refresh_at == ()
    state, batch = small_state(method), ragged_batch()
    assert state.carried["labels"].shape == (3, 1)
    outputs = jax.jit(method.forward)({"params": state.params}, batch["features"], batch["mask"])
    assert np.isfinite(outputs.snippets["cas"]).all()


@pytest.mark.parametrize(("epochs", "counted"), [((1,), range(4, 8)), ((2,), ()), ((), ())])
def test_videos_of_earlier_epochs_have_no_pseudo_labels(epochs, counted):
    """Step 1 takes 4 videos of the first epoch and 4 of the second one, of 12 videos."""
    everybody = {"pseudo.vote_threshold": 0.0}
    method = make(small_config(**everybody, **{"pseudo.refresh_epochs": epochs}), dataclasses.replace(SIZES, videos=12))
    state, batch = small_state(method, step=1), ragged_batch()

    @jax.jit
    def pseudo(carried):
        terms, _ = method.loss(state.params, carried, batch, jax.random.key(0), state.step)
        return jnp.stack([terms[f"{stream}/pseudo_labels"].sum for stream in STREAMS])

    plain, changed = pseudo(state.carried), []
    for row in range(8):
        own = batch["snippets"][row][batch["mask"][row]]
        labels = state.carried["labels"].at[:, own].set(~state.carried["labels"][:, own])
        if (np.asarray(pseudo(state.carried | {"labels": labels})) != np.asarray(plain)).any():
            changed.append(row)
    assert changed == list(counted)


def test_a_refresh_labels_the_snippets_of_each_training_video():
    """S has room for videos that are held out."""
    method, batch = make(small_config()), ragged_batch()
    state = small_state(method)
    carried = jax.tree.map(jnp.zeros_like, state.carried)
    lengths = batch["mask"].sum(axis=1)
    videos = [
        Video(str(row), int(length), 0.0, batch["labels"][row], np.zeros((0, 2)), np.zeros(0, np.int64))
        for row, length in enumerate(lengths)
    ]
    split = Split(tuple(videos), np.arange(len(videos)), lambda row: batch["features"][row, : lengths[row]])
    params, renewed, facts = method.refresh(state.params, carried, Look(split, 0, 64), 3)
    assert params is state.params
    used = int(lengths.sum())
    assert used < SIZES.snippets and not renewed["confidence"][:, used:].any()
    assert facts["pseudo_labels"]["step"] == 3 and facts["pseudo_labels"]["snippets"] == used
    for number, stream in enumerate(STREAMS):
        share = renewed["labels"][number, :used].mean()
        assert facts["pseudo_labels"]["action_share"][stream] == pytest.approx(share)
        only = {f"model.stream_weights.{name}": float(name == stream) for name in STREAMS}
        alone = make(small_config(**only))
        outputs = jax.device_get(jax.jit(alone.forward)({"params": params}, batch["features"], batch["mask"]).snippets)
        for row, mask in enumerate(batch["mask"]):
            attention = outputs["attention"][row, mask]
            p = outputs["cas"][row, mask] / attention[:, None]
            sure = np.abs(p[:, :-1] @ batch["labels"][row].astype(np.float32) - p[:, -1])
            place = batch["snippets"][row, mask]
            np.testing.assert_allclose(renewed["confidence"][number, place], sure, atol=1e-5)
            clear = np.abs(attention - 0.55) > 1e-4
            np.testing.assert_array_equal(renewed["labels"][number, place][clear], (attention > 0.55)[clear])


def test_one_device_equals_eight_with_pseudo_labels():
    method, batch, ends = make(small_config(), axis=AXIS), ragged_batch(), {}
    step = make_train_step(method)
    for devices in (1, 8):
        dealt = deal(len(batch["order"]), 0, devices)
        rows = {name: array[dealt.order] for name, array in batch.items() if name != "paired"}
        state, values = step(replicate(small_state(method), devices), rows | {"paired": dealt.paired})
        ends[devices] = jax.device_get((values, state.carried, state.opt_state[1].mu))
    assert all(ends[1][0][f"{stream}/pseudo_labels"] > 0 for stream in STREAMS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ends[1], ends[8])


def test_terms_are_sums_with_the_weights_of_the_recipe():
    config = small_config()
    method = make(config)
    state, terms = small_state(method), {}

    def traced(*arguments):
        terms.update(method.loss(*arguments)[0])

    jax.eval_shape(traced, state.params, state.carried, ragged_batch(), jax.random.key(0), state.step)
    assert set(terms) == {f"{stream}/{term}" for stream in STREAMS for term in config.loss.weights}
    assert all(term.count is None for term in terms.values()), "sums over videos"
    assert {name: term.weight for name, term in terms.items()} == {
        name: config.loss.weights[name.split("/")[1]] for name in terms
    }


def test_the_published_steps_on_thumos14():
    """20 steps are an epoch of 200 videos."""
    config = mmsd_thumos14.get_config()
    method = mmsd.make(config, Sizes(20, 2048, videos=200, snippets=80_000))
    assert method.refresh_at == (800, 1600, 2400, 3200, 4000, 4800)
    rate = learning_rate(config.optimizer)
    np.testing.assert_allclose([rate(step) for step in (0, 1399, 1400, 4799)], [5e-5, 5e-5, 1e-5, 1e-5], rtol=1e-6)
    carried = jax.eval_shape(method.init, jax.random.key(0))[1]
    assert {name: (leaf.shape, leaf.dtype) for name, leaf in carried.items()} == {
        "labels": ((3, 80_000), bool),
        "confidence": ((3, 80_000), jnp.float32),
    }
