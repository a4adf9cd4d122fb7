"""ACN's intervals, selection and proposals against slow oracles; its refusals."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import configs
from configs import acn_thumos14
from tests.training.small import RECIPES, acn_run
from tsc_jax import methods
from tsc_jax.data.batches import batch_maker
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.evaluation.evaluate import localize
from tsc_jax.inference import Look, make_inference
from tsc_jax.localization.segments import make_segments
from tsc_jax.method import Sizes, first_state, loss_gradients
from tsc_jax.methods.acn.confidence import coherence, integral
from tsc_jax.methods.acn.intervals import alive, make_intervals
from tsc_jax.methods.acn.localize import fuse, make_integral
from tsc_jax.methods.acn.method import make_optimizer, measure, rescale
from tsc_jax.methods.acn.network import make_network
from tsc_jax.methods.acn.selection import winners
from tsc_jax.training.runs import make_look, sizes_of


def recipe(**changes):
    config = acn_thumos14.get_config()
    config.update_from_flattened_dict({"intervals.anchors": (1, 2, 4), "model.hidden": 4} | changes)
    return config


def regressed(seed: int, lengths) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (len(lengths), max(lengths), 3, 2))


@pytest.mark.parametrize("reading", ["printed", "inclusive"])
def test_intervals_are_those_of_the_formula(reading):
    lengths, settings = np.array([9, 5, 1]), recipe(**{"intervals.reading": reading}).intervals
    r = regressed(0, lengths)
    intervals = make_intervals(r, lengths, settings)
    in_jax = make_intervals(jnp.asarray(r, jnp.float32), jnp.asarray(lengths), settings)
    for video, length in enumerate(lengths):
        last = length - (reading == "inclusive")
        for row, size in enumerate(settings.anchors):
            assert intervals.exists[video, row].sum() == max(0, length - size)
            for t in range(max(0, length - size)):
                start = t + size * (1 / (1 + np.exp(-r[video, t, row, 0])) - 0.5)
                end = t + size + size * (1 / (1 + np.exp(-r[video, t + size, row, 1])) - 0.5)
                s, e = np.clip([start, end], 0, last)
                expected = s, e, max(0, s - size / 4), min(last, e + size / 4)
                for array, other, value in zip(intervals[:4], in_jax[:4], expected, strict=True):
                    np.testing.assert_allclose(array[video, row, t], value, rtol=1e-12)
                    np.testing.assert_allclose(other[video, row, t], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reading", ["printed", "inclusive"])
@pytest.mark.parametrize("veto", ["any", "centre"])
def test_selection_equals_a_slow_oracle(reading, veto):
    config, lengths = recipe(**{"intervals.reading": reading, "selection.veto": veto}), np.array([9, 4])
    rng = np.random.default_rng(1)
    scp = np.where(np.arange(9)[:, None] < lengths[:, None, None], rng.random((2, 9, 2)), 0)
    scp[scp < 0.3] = 0.05
    intervals = make_intervals(regressed(1, lengths), lengths, config.intervals)
    confidence = rng.random((2, 2, 3, 9)).round(1)  # with ties
    possible = alive(intervals, scp, config)
    kept = winners(jnp.asarray(confidence), jnp.asarray(possible), jax.tree.map(jnp.asarray, intervals), 9,
                   config.intervals)  # fmt: skip
    overhang = reading == "inclusive"
    for video, length in enumerate(lengths):
        for label in range(2):
            live, best = {}, set()
            for row, size in enumerate(config.intervals.anchors):
                for t in range(max(0, length - size)):
                    start, end = intervals.start[video, row, t], intervals.end[video, row, t] + overhang
                    covers = [u for u in range(9) if start <= u + 0.5 < end]
                    looked_at = covers if veto == "any" else [min(int((start + end) // 2), 8)]
                    if covers and all(scp[video, u, label] >= 0.1 for u in looked_at):
                        live[row, t] = covers
            for u in range(9):
                over = [key for key, covers in live.items() if u in covers]
                if over:
                    best.add(max(over, key=lambda key: (confidence[(video, label, *key)], -key[0], -key[1])))
            assert {tuple(key) for key in np.argwhere(possible[video, label])} == set(live)
            assert {tuple(key) for key in np.argwhere(np.asarray(kept)[video, label])} == best


def test_both_integrals_are_the_sum_of_overlaps():
    rng = np.random.default_rng(2)
    track, bounds = rng.random((6, 1)), np.sort(rng.uniform(0, 6, (2, 20)), axis=0)
    expected = [sum(track[t, 0] * max(0, min(b, t + 1) - max(a, t)) for t in range(6)) for a, b in bounds.T]
    np.testing.assert_allclose(make_integral(track, np.zeros(20, int))(*bounds)[:, 0], expected, atol=1e-12)
    arrays = (jnp.asarray(array[None], jnp.float32) for array in (track, *bounds))
    np.testing.assert_allclose(integral(*arrays)[0, :, 0], expected, rtol=1e-4, atol=1e-5)


def test_flanks_that_do_not_count_leave_coherence_and_its_gradient_finite():
    settings, features = recipe().intervals, jnp.ones((1, 4, 2)).at[0, 3].set(0)
    intervals = make_intervals(jnp.zeros((1, 4, 3, 2)), jnp.array([4]), settings)
    whole = jax.tree.map(lambda array: array[:, 0], intervals)._replace(
        start=jnp.zeros((1, 4)),
        end=jnp.full((1, 4), 4.0),
        outer_start=jnp.zeros((1, 4)),
        outer_end=jnp.full((1, 4), 4.0),
    )
    np.testing.assert_array_equal(coherence(features, whole, settings), 1)
    gradient = jax.grad(lambda start: coherence(features, whole._replace(start=start), settings).sum())(whole.start)
    assert np.isfinite(gradient).all()
    one = whole._replace(end=jnp.full((1, 4), 3.0))  # only the flank after it, which is all zero
    np.testing.assert_array_equal(coherence(features, one, settings), 1)


def test_evidence_is_scale_free():
    rng = np.random.default_rng(3)
    outputs = [{"probabilities": rng.random((5, 3)), "attention": rng.random(5)} for _ in range(4)]
    labels = [np.array([True, False])] * 4
    moved = [
        {"probabilities": 0.2 * output["probabilities"] + 0.1, "attention": np.exp(output["attention"])}
        for output in outputs
    ]
    ends = []
    for each in (outputs, moved):
        scale = measure(each, labels, recipe(), 2)
        scp = np.concatenate([rescale(output["probabilities"], scale) for output in each])
        above = np.concatenate([output["attention"] for output in each]) >= scale["theta"][0]
        ends.append((scp, above))
    np.testing.assert_allclose(ends[0][0], ends[1][0], atol=1e-5)
    np.testing.assert_array_equal(ends[0][1], ends[1][1])
    given = recipe(**{"evidence.attention_thresholds": (7.0, 5.0), "evidence.scale": "none"})
    scale = measure(outputs, labels, given, 2)
    assert (scale["theta"].tolist(), scale["low"], scale["high"]) == ([7, 5], 0, 1)


def test_the_learning_rate_falls_with_the_epochs():
    config = recipe(**{"train.batch_size": 4, "optimizer.learning_rate": 1.0})
    optimizer, params = make_optimizer(config, 8), jnp.zeros(())
    state, rates = optimizer.init(params), []
    for _ in range(7):
        update, state = optimizer.update(jnp.ones(()), state)
        rates.append(-float(update))
    np.testing.assert_allclose(rates, [1, 1, 0.1, 0.1, 0.01, 0.01, 0.01], rtol=1e-6)


def test_fusion_keeps_flow_and_weakens_rgb():
    settings = recipe().proposals
    flow = make_segments([0, 1], 0, [0, 0], [10, 10], [0.9, 0.8])
    rgb = make_segments([0, 0, 1], [0, 1, 0], [0, 0, 8], [9, 9, 20], [0.6, 0.6, -0.4])
    fused = fuse(flow, rgb, settings)
    assert list(zip(fused.video.tolist(), *zip(*fused.rows(), strict=True), strict=True)) == [
        (0, 0, 0.0, 10.0, 0.9),
        (0, 1, 0.0, 9.0, 0.3),
        (1, 0, 0.0, 10.0, 0.8),
        (1, 0, 8.0, 20.0, -0.2),
    ]


def test_the_regressors_begin_as_pytorchs_layers_do():
    params = make_network(recipe(**{"model.hidden": 64}), False).init(
        jax.random.key(0), jnp.zeros((1, 1, 12)), jnp.ones((1, 1), bool)
    )["params"]["anchor_4"]
    for name, fan_in in (("conv1", 36), ("conv2", 192), ("conv3", 64)):
        for leaf in params[name].values():
            assert 0 < np.abs(leaf).max() <= fan_in**-0.5


@pytest.mark.parametrize("name", [name for name in methods.names() if name != "acn"])
def test_any_method_may_be_the_base(data_dir, name):
    config, dataset = acn_run(data_dir), open_dataset(data_dir, "made_up")
    with config.unlocked():
        config.base.recipe = RECIPES[name](data_dir)
    sizes = sizes_of(config, dataset, dataset.train)
    method, of_base = methods.make(config, sizes), methods.make_base(config, sizes)
    params, carried = method.init(jax.random.key(0))
    run = SimpleNamespace(variables=of_base.variables(*of_base.init(jax.random.key(1))))
    look = Look(dataset.train, 0, 4096, [run])
    params, carried, facts = method.refresh(params, carried, look, 0)
    assert facts["scale"]["low"] < facts["scale"]["high"] <= 1
    inference = make_inference(config, sizes)
    localized = localize(inference, method.variables(params, carried), dataset.test, config)
    assert localized.scores.shape == (7, 3)
    own = [{key[5:]: array for key, array in of.items() if key.startswith("base/")} for of in localized.outputs]
    np.testing.assert_array_equal(localized.scores, of_base.class_scores(own))
    for outputs in localized.outputs:
        assert outputs["cas"].min() >= 0 and outputs["cas"].max() <= 1
        np.testing.assert_array_equal(outputs["attention"], outputs["base/attention"])


@pytest.mark.parametrize("data", ["thumos14", "activitynet13", "demo"])
def test_the_recipes_are_valid(data):
    config = configs.recipe("acn", data)
    with pytest.raises(AttributeError):
        config.train.stepz = 3
    with pytest.raises(InputError, match=r"base\.recipe is empty"):  # all that is missing
        methods.make(config, Sizes(3, 16))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model.input": "features+scp", "model.dilation": "quarter"},
        {"selection.training_classes": "scores", "selection.test_classes": "scores", "selection.scores": "evidence"},
        {"selection.training_classes": "scores", "evidence.scale": "none", "model.modalities": 1},
        {"confidence.terms": "coherence", "intervals.reading": "inclusive", "intervals.outer_min": 1.0},
    ],
)
def test_every_option_moves_only_the_regressors(data_dir, changes):
    config, dataset = acn_run(data_dir, **changes), open_dataset(data_dir, "made_up")
    method = methods.make(config, sizes_of(config, dataset, dataset.train))
    state = first_state(method, 0)
    params, carried, _ = method.refresh(state.params, state.carried, make_look(config, dataset.train, 0), 0)
    assert jax.tree.map(np.shape, carried) == jax.tree.map(np.shape, state.carried)
    state = state.replace(carried=jax.tree.map(jnp.asarray, carried))
    batch = {name: array[0] for name, array in batch_maker(dataset.train, config.train, 0, 1)(0).items()}
    gradients, values, after = jax.jit(lambda state, batch: loss_gradients(method, None, state, batch))(state, batch)
    assert np.isfinite(values["total"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert any((leaf != 0).any() for leaf in jax.tree.leaves(gradients))
    jax.tree.map(np.testing.assert_array_equal, after, state.carried)
    variables = method.variables(params, state.carried)
    outputs = jax.device_get(jax.jit(method.forward)(variables, batch["features"], batch["mask"]))
    videos = [
        {name: array[row, : mask.sum()] for name, array in outputs.snippets.items()}
        | {name: array[row] for name, array in outputs.videos.items()}
        for row, mask in enumerate(batch["mask"])
        if mask.any()
    ]
    segments = method.localize(videos)
    assert method.class_scores(videos).shape == (len(videos), 3)
    assert (segments.start < segments.end).all() and (segments.start >= 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.modalities": 3}, r"config\.model\.modalities is 3, expected one of 1, 2"),
        ({"intervals.anchors": (4, 2)}, r"config\.intervals\.anchors is .*, expected rising numbers"),
        ({"intervals.reading": "pixels"}, r"config\.intervals\.reading is 'pixels'"),
        ({"evidence.low": 0.9, "evidence.high": 0.1}, r"config\.evidence\.low is 0\.9, expected less"),
        ({"evidence.attention_thresholds": (7.0,)}, r"attention_thresholds is \(7\.0,\), expected one number for each"),
        ({"optimizer.epoch_factors": ()}, r"config\.optimizer\.epoch_factors is"),
        ({}, r"config\.base\.recipe is empty"),
    ],
)
def test_values_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        methods.make(recipe(**changes), Sizes(3, 16))


def test_two_modalities_need_an_even_width():
    with pytest.raises(InputError, match="odd width 15"):
        methods.make(recipe(), Sizes(3, 15))
