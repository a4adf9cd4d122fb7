"""The regression student: its losses, its network, and what it finds."""

import itertools

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
import scipy.special

from configs import self_training
from tsc_jax import methods
from tsc_jax.errors import InputError
from tsc_jax.localization.nms import tiou
from tsc_jax.localization.segments import Segments, make_segments
from tsc_jax.method import Method, Sizes, first_state, train_step
from tsc_jax.methods.self_train import labels, regression
from tsc_jax.methods.self_train.cells import segments_of
from tsc_jax.methods.self_train.network import pool

CLASSES, WIDTH, LENGTH, VIDEOS = 3, 6, 43, 32


def recipe(**changes) -> ml_collections.ConfigDict:
    config = self_training.on("tscnet", "demo")
    small = {"student.kind": "regression", "student.channels": 16, "student.blocks": 1, "optimizer.learning_rate": 1e-2}
    config.update_from_flattened_dict(small | changes)
    return config


def made_up(seed: int, videos: int) -> tuple[np.ndarray, np.ndarray, Segments]:
    """Features [V, T, D], mask [V, T] and the true segments: two actions of 3 to 18 snippets in each video."""
    rng, rows = np.random.default_rng(seed), []
    features, lengths = rng.normal(0, 0.3, (videos, LENGTH, WIDTH)), rng.integers(36, LENGTH + 1, videos)
    for video, (half, first) in itertools.product(range(videos), enumerate((0, 18))):
        size = int(rng.integers(3, 17))
        start, label = first + int(rng.integers(18 - size + 1)), int(rng.integers(CLASSES))
        features[video, start : start + size, label] += 1.5
        rows.append((video, label, start + 0.25 * half, start + size))
    return features.astype(np.float32), np.arange(LENGTH) < lengths[:, None], make_segments(*zip(*rows, strict=True))


def batch_of(features: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    snippets = np.arange(mask.size, dtype=np.int32).reshape(mask.shape)
    return {"features": features, "mask": mask, "order": np.arange(len(mask), dtype=np.int32), "snippets": snippets}


@pytest.fixture(scope="module")
def start():
    """The method, its compiled train step, and its state before training; it has seen no segments."""
    method = methods.make(recipe(), Sizes(CLASSES, WIDTH, VIDEOS, VIDEOS * LENGTH))
    return method, jax.jit(lambda state, batch: train_step(method, None, state, batch)), first_state(method, 0)


@pytest.fixture(scope="module")
def taught(start) -> tuple[Method, object]:
    """The method, and its variables after it has seen true segments for some steps."""
    method, step, state = start
    features, mask, segments = made_up(0, VIDEOS)
    lengths, totals = [LENGTH] * VIDEOS, []
    carried = state.carried | {
        "labels": jnp.asarray(labels.snippet_labels(segments, lengths, CLASSES)),
        "distances": jnp.asarray(labels.snippet_distances(segments, lengths)),
    }
    state = state.replace(carried=carried)
    for _ in range(150):
        state, values = step(state, batch_of(features, mask))
        totals.append(float(values["total"]))
    assert totals[-1] < 0.5 * totals[0]
    return method, method.variables(state.params, state.carried)


def outputs_of_videos(method, variables, features, mask) -> list[dict]:
    outputs = jax.device_get(jax.jit(method.forward)(variables, features, mask))
    return [{name: array[row][mask[row]] for name, array in outputs.snippets.items()} for row in range(len(mask))]


def share_found(found: Segments, truth: Segments, limit: float) -> float:
    """The share of true segments that one of the video's best proposals overlaps; as many as there are true ones."""
    hits = []
    for row in range(len(truth)):
        best = found.of_video(truth.video[row])[: (truth.video == truth.video[row]).sum()]
        overlap = tiou(best.start, best.end, truth.start[row], truth.end[row])
        hits.append(((overlap > limit) & (best.label == truth.label[row])).any())
    return float(np.mean(hits))


def test_a_student_of_true_segments_finds_those_of_other_videos(taught):
    features, mask, truth = made_up(1, 24)
    outputs = outputs_of_videos(*taught, features, mask)
    found = taught[0].localize(outputs)
    assert share_found(found, truth, 0.5) > 0.85
    assert share_found(found, truth, 0.7) > 0.7
    assert found.start.min() >= 0 and (found.end <= mask.sum(axis=1)[found.video]).all()
    shown = np.zeros((24, CLASSES), bool)
    shown[truth.video, truth.label] = True
    scores = taught[0].class_scores(outputs)
    assert scores[shown].mean() > 0.4 and scores[~shown].mean() < 0.2


def test_class_scores_of_snippets_tell_actions_from_background(taught):
    features, mask, truth = made_up(2, 24)
    outputs = outputs_of_videos(*taught, features, mask)
    cas, attention = (np.concatenate([output[name] for output in outputs]) for name in ("cas", "attention"))
    shown = labels.snippet_labels(truth, [LENGTH] * 24, CLASSES).reshape(mask.shape)[mask]
    inside = shown < CLASSES
    higher = np.mean(attention[inside, None] > attention[None, ~inside])
    assert higher > 0.95, "of the pairs of a snippet of an action and one of the background"
    assert np.mean(cas[inside, :-1].argmax(axis=1) == shown[inside]) > 0.95
    np.testing.assert_array_equal(cas[:, :-1].max(axis=1), attention)
    np.testing.assert_array_equal(cas[:, -1], 1 - attention)


def test_snippets_of_a_cell_say_the_same_and_segments_come_from_cells(taught):
    features, mask, _ = made_up(3, 2)
    method, variables = taught
    output = outputs_of_videos(method, variables, features, mask)[1]
    length = mask[1].sum()
    assert output["scores"].shape == (length, 4, CLASSES) and output["distances"].shape == (length, 4, 2)
    expected = set()
    for level in range(4):
        for first in range(0, length, 2**level):
            of_cell = slice(first, first + 2**level)
            for name in ("scores", "distances"):
                assert (output[name][of_cell, level] == output[name][first, level]).all()
            start, end = output["distances"][first, level] * [-1, 1] + first + 2**level / 2
            start, end = np.clip([start, end], 0, length)
            for label, score in enumerate(output["scores"][first, level]):
                if score > 0.01 and start < end:
                    expected.add((label, round(float(start), 3), round(float(end), 3), round(float(score), 5)))
    settings = recipe().student.regression
    for most in (5, 10_000):
        settings.update(score_threshold=0.01, most=most)
        found = regression.candidates(0, output, settings)
        rows = {(label, round(start, 3), round(end, 3), round(score, 5)) for label, start, end, score in found.rows()}
        assert rows <= expected and len(found) == min(most, len(expected))
        assert (np.diff(found.score) <= 0).all()
    assert found.score[:5].min() >= np.sort([score for *_, score in expected])[-5] - 1e-5


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.5), (0.0, 0.25), (0.5, 1.0)])
def test_focal_loss_is_that_of_numpy_and_has_finite_gradients(gamma, alpha):
    logits = np.concatenate([np.random.default_rng(0).normal(0, 4, 30), [0, 80, -80, 1e4, -1e4]]).astype(np.float32)
    for wanted in (np.zeros_like(logits), np.ones_like(logits)):
        right = scipy.special.expit(np.where(wanted > 0, logits, -logits).astype(np.float64))
        log_right = -np.logaddexp(0, -np.where(wanted > 0, logits, -logits).astype(np.float64))
        expected = -np.where(wanted > 0, alpha, 1 - alpha) * (1 - right) ** gamma * log_right
        values, gradients = jax.vmap(
            jax.value_and_grad(lambda logit, label: regression.focal_loss(logit, label, gamma, alpha))
        )(logits, wanted)
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-12)
        assert np.isfinite(gradients).all()


def test_focal_loss_without_focus_is_half_the_cross_entropy():
    logits, wanted = jnp.array([-1.0, 2.0]), jnp.array([1.0, 0.0])
    np.testing.assert_allclose(
        regression.focal_loss(logits, wanted, 0.0, 0.5), 0.5 * np.log1p(np.exp([1.0, 2.0])), rtol=1e-6
    )


def test_diou_loss_is_that_of_segments():
    rng = np.random.default_rng(0)
    distances, wanted = rng.uniform(0, 9, (2, 200, 2)).astype(np.float32)
    given, true = (np.stack([-ends[:, 0], ends[:, 1]]).astype(np.float64) for ends in (distances, wanted))
    hull = np.maximum(given[1], true[1]) - np.minimum(given[0], true[0])
    expected = 1 - tiou(*given, *true) + ((given.mean(axis=0) - true.mean(axis=0)) / hull) ** 2
    np.testing.assert_allclose(regression.diou_loss(distances, wanted), expected, rtol=1e-5)


def test_diou_loss_at_its_edges():
    wanted = jnp.array([[2.0, 3.0], [2.0, 3.0], [1e-3, 0.2], [2.0, 4.0]])
    given = jnp.array([[2.0, 3.0], [0.0, 0.0], [50.0, 1e4], [4.0, 2.0]])
    values = np.asarray(regression.diou_loss(given, wanted))
    np.testing.assert_allclose(values, [0, 1 + 0.5**2 / 5**2, 1.25, 1 - 4 / 8 + (2 / 8) ** 2], atol=0.01)
    assert values[0] == 0
    gradients = jax.grad(lambda given: regression.diou_loss(given, wanted).sum())(given)
    assert np.isfinite(gradients).all()


def test_a_batch_without_segments_teaches_that_there_are_none(start):
    _, step, state = start
    features, mask, _ = made_up(0, VIDEOS)
    mask[1:] = False
    after, values = step(state, batch_of(features, mask))
    assert values["diou"] == 0 < values["focal"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.params))
    _, nothing = step(state, batch_of(features, np.zeros_like(mask)))
    assert nothing["total"] == 0


def test_pooling_leaves_out_what_does_not_exist():
    x = jnp.array([[[-3.0], [5.0], [-2.0], [-1.0], [7.0], [7.0]]])
    mask = jnp.array([[True, False, True, True, False, False]])
    pooled, exists = pool(x, mask)
    assert pooled[0, :, 0].tolist() == [-3, -1, 0] and exists.tolist() == [[True, True, False]]


def test_segments_reach_from_the_middle_of_a_cell():
    start, end = segments_of(np.array([[1.0, 2.0], [0.5, 3.0]]), 2)
    assert start.tolist() == [1, 5.5] and end.tolist() == [4, 9]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"student.kind": "segment"}, r"config\.student\.kind is 'segment', expected one of snippet, regression"),
        ({"student.regression.levels": 0}, r"config\.student\.regression\.levels is 0, expected 1 or more"),
        ({"student.regression.prior": 1.0}, r"config\.student\.regression\.prior is 1\.0, expected a number between"),
        ({"train.sampling": "subset"}, r"config\.train\.sampling 'subset', but the regression student"),
        ({"train.batches": "pairs"}, r"config\.train\.batches is 'pairs'"),
    ],
)
def test_wrong_values_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        methods.make(recipe(**changes), Sizes(CLASSES, WIDTH))
