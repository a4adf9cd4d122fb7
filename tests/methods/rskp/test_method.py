"""The phases of RSKP, its memory between them, and what it refuses."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import recipe
from tests.methods.rskp.small import CLASSES, LENGTHS, SIZES, WIDTH, small_batch, small_config, small_method, state_at
from tsc_jax.data.dataset import unlabelled
from tsc_jax.errors import InputError
from tsc_jax.inference import Look
from tsc_jax.method import Sizes, loss_gradients
from tsc_jax.methods import rskp
from tsc_jax.methods.rskp.memory import empty_memory, put
from tsc_jax.methods.rskp.network import make_network


@pytest.fixture(scope="module")
def computed():
    """Terms and carried state of the step `step`, and its gradients: without dropout, by step."""
    method, ends = small_method(**{"model.dropout": 0.0, "memory.warmup_epochs": 1}), {}
    program = jax.jit(lambda state, batch: loss_gradients(method, None, state, batch))
    # 6 videos of epoch 0 fill step 0 and half of step 1.
    for step in (0, 1, 2):
        ends[step] = jax.device_get(program(state_at(method, step), small_batch()))
    return ends


def test_the_phase_is_that_of_each_row(computed):
    first, mixed, second = (computed[step][1] for step in (0, 1, 2))
    assert first["pseudo_labels/phase_2"] == first["inter/class_agnostic"] == first["inter/class_specific"] == 0
    assert second["pseudo_labels/phase_1"] == 0 and second["pseudo_labels/phase_2"] > 0
    assert mixed["pseudo_labels/phase_1"] > 0 and mixed["pseudo_labels/phase_2"] > 0
    assert 0 < mixed["inter/class_agnostic"] < second["inter/class_agnostic"]


def test_only_labelled_rows_in_the_second_phase_write(computed):
    first, mixed, second = (computed[step][2]["memory"].scores.any(axis=1).tolist() for step in (0, 1, 2))
    assert first == [False, False, False]
    assert mixed == [False, False, True], "rows 2, without a label, and 3"
    assert second == [True, True, True]


def test_terms_are_sums_and_the_total_is_their_weighted_sum(computed):
    values, weights = computed[2][1], small_config().loss.weights
    total = weights.attention * values["attention"] + weights.pseudo_labels_2 * values["pseudo_labels/phase_2"]
    for branch, share in (("main", 1), ("intra", 1), ("inter", weights.inter)):
        for kind in ("class_agnostic", "class_specific"):
            total += share * weights[kind] * values[f"{branch}/{kind}"]
    np.testing.assert_allclose(values["total"], total, rtol=1e-6)


def test_gradients_are_finite_with_one_snippet_without_labels_and_with_zero_rows(computed):
    for gradients, values, carried in computed.values():
        for leaf in jax.tree.leaves((gradients, values, carried)):
            assert np.isfinite(leaf).all()


def test_videos_of_a_batch_add_up(computed):
    """Without a memory between them, a batch has the sum of the losses and gradients of its videos."""
    method = small_method(**{"model.dropout": 0.0, "memory.warmup_epochs": 100})
    program = jax.jit(lambda state, batch: loss_gradients(method, None, state, batch)[:2])
    alone = []
    for row, length in enumerate(LENGTHS):
        one = {name: array[[row]] for name, array in small_batch().items() if name != "paired"}
        one |= {name: one[name][:, :length] for name in ("features", "mask", "snippets")}
        alone.append(program(state_at(method, 0), one | {"order": np.zeros(1, np.int32), "paired": np.zeros(0, bool)}))
    summed = jax.tree.map(lambda *leaves: sum(np.asarray(leaf, np.float64) for leaf in leaves), *alone)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), summed, computed[0][:2])


def look_at(method) -> tuple[Look, list]:
    batch = small_batch()
    features = [batch["features"][row, :length] for row, length in enumerate(LENGTHS)]
    split = unlabelled("abcd", LENGTHS, features.__getitem__, CLASSES, 1.0)
    videos = [
        SimpleNamespace(**vars(video) | {"labels": labels})
        for video, labels in zip(split.videos, batch["labels"], strict=True)
    ]
    return Look(SimpleNamespace(videos=videos, features=split.features), 0, 64), features


def test_the_memory_is_filled_with_all_videos_in_their_order_without_dropout():
    method, config = small_method(), small_config()
    assert method.refresh_at == (0, 3)
    state = state_at(method, 3)
    look, features = look_at(method)
    dirty = {"memory": jax.tree.map(jnp.ones_like, state.carried["memory"])}
    _, carried, facts = method.refresh(state.params, dirty, look, 3)
    assert facts == {"memory": {"filled_at_step": 3, "videos": 4}}
    network, memory = make_network(config.model, CLASSES), empty_memory(CLASSES, 3, 8)
    for video, rows in zip(look.split.videos, features, strict=True):
        seen = network.apply({"params": state.params}, rows[None], np.ones((1, len(rows)), bool))
        memory = put(memory, seen.prototypes[0], seen.prototype_scores[0], video.labels, CLASSES)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), carried["memory"], memory)
    assert method.refresh(state.params, dirty, look, 0)[1] is dirty, "the pass at the start changes nothing"


def test_a_video_of_more_classes_than_the_memory_reads_is_refused_before_the_first_step():
    method = small_method(**{"memory.labels": 1})
    with pytest.raises(InputError, match=r"config\.memory\.labels is 1, but training video b has 2 classes"):
        method.refresh({}, {}, look_at(method)[0], 0)


@pytest.mark.parametrize("step", [0, 2])
def test_a_bound_on_labels_that_holds_changes_nothing(step):
    ends = []
    for labels in (0, 2):
        method = small_method(**{"memory.labels": labels, "memory.warmup_epochs": 1, "model.dropout": 0.0})
        ends.append(
            jax.jit(lambda s, b, m=method: loss_gradients(m, None, s, b))(state_at(method, step), small_batch())
        )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), *ends)


def test_weights_without_known_training_videos_make_a_method():
    method = rskp.make(small_config(), Sizes(CLASSES, WIDTH))
    assert method.refresh_at == ()
    batch = small_batch()
    outputs = method.forward({"params": state_at(method, 0).params}, batch["features"], batch["mask"])
    assert outputs.snippets["cas"].shape == (4, 12, CLASSES + 1)


def test_sampled_videos_are_scored_on_their_samples():
    whole, sampled = small_method(), small_method(**{"model.test_snippets": 5})
    variables, batch = {"params": state_at(whole, 0).params}, small_batch()
    outputs = sampled.forward(variables, batch["features"], batch["mask"])
    chosen = np.arange(5) * 12 // 5
    expected = whole.forward(variables, batch["features"][2:3, chosen], np.ones((1, 5), bool))
    np.testing.assert_allclose(np.asarray(outputs.snippets["cas"])[2, (2 * np.arange(5) + 1) * 12 // 10],
                               expected.snippets["cas"][0], atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(outputs.videos["class_scores"][2], expected.videos["class_scores"][0], atol=1e-5)


def test_bfloat16_changes_the_embedding_alone():
    batch, ends = small_batch(), []
    for dtype in ("float32", "bfloat16"):
        method = small_method(**{"model.dtype": dtype})
        ends.append(method.forward({"params": state_at(method, 0).params}, batch["features"], batch["mask"]))
    for one, other in zip(*(jax.tree.leaves(end) for end in ends), strict=True):
        assert other.dtype == jnp.float32
        np.testing.assert_allclose(one, other, atol=0.1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.embedding_width", 0),
        ("model.walk_weight", 1.0),
        ("model.dropout", 1.0),
        ("model.main_weight", 1.5),
        ("model.test_snippets", -1),
        ("model.dtype", "float16"),
        ("memory.slots", 0),
        ("memory.warmup_epochs", -1),
        ("memory.labels", -1),
        ("loss.temperature", 0.0),
        ("loss.inter_share", 2.0),
        ("loss.weights.attention", -1.0),
        ("train.batches", "pairs"),
        ("proposals.upsampling", 0),
        ("proposals.nms_overlap", "other"),
        ("optimizer.beta2", 1.0),
    ],
)
def test_invalid_values_are_named(key, value):
    with pytest.raises(InputError, match=rf"config\.{key} is"):
        rskp.make(small_config(**{key: value}), SIZES)


@pytest.mark.parametrize(("data", "fill"), [("thumos14", 2020), ("demo", 400), ("activitynet13", 1262)])
def test_recipes_are_locked_and_make_a_method(data, fill):
    config = recipe("rskp", data)
    with pytest.raises(AttributeError):
        config.memory.slotz = 3
    assert rskp.make(config, Sizes(20, 64, 200, 100)).refresh_at == (0, fill)


def test_the_published_recipe_has_its_number_of_parameters():
    params, carried = jax.eval_shape(rskp.make(recipe("rskp", "thumos14"), Sizes(20, 2048)).init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 4_257_792
    assert carried["memory"].prototypes.shape == (20, 5, 2048)


def test_the_foreground_starts_as_minus_the_background():
    centres = state_at(small_method(), 0).params["centres"]
    np.testing.assert_array_equal(centres["foreground"], -np.asarray(centres["classes"])[-1])
