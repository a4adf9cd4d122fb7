"""The losses of single videos against NumPy, and where gradients stop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import rskp_thumos14
from tsc_jax.methods.rskp.losses import loss_terms, video_losses
from tsc_jax.nn.cosine import Scores

SETTINGS = rskp_thumos14.get_config().loss
LENGTHS, CLASSES = [17, 1, 9], 3
MASK = np.arange(17) < np.array(LENGTHS)[:, None]
LABELS = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 1]], bool)
HAS_INTER = np.array([True, False, True])


def scores(seed: int) -> Scores:
    rng = np.random.default_rng(seed)
    shapes = [(3, 17, 4), (3, 17), (3, 17, 4), (3, 4), (3, 4)]
    cas, attention, class_attention, agnostic, specific = (
        rng.normal(size=shape).astype(np.float32) for shape in shapes
    )
    return Scores(cas, jax.nn.sigmoid(attention), jax.nn.sigmoid(class_attention), agnostic, specific)


@pytest.fixture(scope="module")
def losses():
    return video_losses(scores(0), scores(1), scores(2), HAS_INTER, LABELS, MASK, SETTINGS)


def log_softmax(x):
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def test_class_losses_are_cross_entropies_of_the_shared_labels(losses):
    for seed, branch in enumerate(("main", "intra", "inter")):
        for kind, background in (("agnostic", 0), ("specific", 1)):
            target = np.append(LABELS, np.full((3, 1), background), axis=1)
            target = target / (target.sum(axis=1, keepdims=True) + 1e-8)
            expected = -(target * log_softmax(getattr(scores(seed), kind))).sum(axis=1)
            expected = np.where(HAS_INTER, expected, 0) if branch == "inter" else expected
            np.testing.assert_allclose(losses[f"{branch}/class_{kind}"], expected, rtol=1e-5, atol=1e-6)


def test_the_attention_loss_counts_an_eighth_of_the_snippets_that_exist(losses):
    for video, length in enumerate(LENGTHS):
        ranked, k = np.sort(np.asarray(scores(0).attention)[video, :length]), max(1, length // 8)
        expected = ranked[:k].mean() - ranked[-k:].mean()
        np.testing.assert_allclose(losses["attention"][video], expected, rtol=1e-5, atol=1e-6)


def test_pseudo_labels_mix_the_logits_where_a_video_has_the_inter_branch(losses):
    main, intra, inter = (scores(seed).cas / SETTINGS.temperature for seed in range(3))
    for video, length in enumerate(LENGTHS):
        share = SETTINGS.inter_share if HAS_INTER[video] else 0
        target = np.exp(log_softmax(share * inter[video] + (1 - share) * intra[video]))
        expected = -(target * log_softmax(main[video])).sum(axis=1)[:length].mean()
        np.testing.assert_allclose(losses["pseudo_labels"][video], expected, rtol=1e-4)


def test_pseudo_labels_teach_the_main_branch_alone():
    def pseudo_labels(main, intra, inter):
        return video_losses(main, intra, inter, HAS_INTER, LABELS, MASK, SETTINGS)["pseudo_labels"].sum()

    main, intra, inter = jax.grad(pseudo_labels, (0, 1, 2))(*map(scores, range(3)))
    assert np.abs(main.cas).max() > 0
    assert not any(np.any(leaf) for leaf in jax.tree.leaves((intra, inter, main.replace(cas=0.0))))


def test_terms_leave_out_rows_without_a_video(losses):
    second, exists = np.array([True, False, True]), np.array([True, True, False])
    terms = loss_terms(losses, jnp.asarray(exists), jnp.asarray(second), SETTINGS.weights)
    np.testing.assert_allclose(terms["attention"].sum, np.asarray(losses["attention"])[:2].sum(), rtol=1e-6)
    np.testing.assert_allclose(terms["pseudo_labels/phase_1"].sum, losses["pseudo_labels"][1], rtol=1e-6)
    np.testing.assert_allclose(terms["pseudo_labels/phase_2"].sum, losses["pseudo_labels"][0], rtol=1e-6)
    assert terms["inter/class_specific"].weight == SETTINGS.weights.inter * SETTINGS.weights.class_specific
    assert all(term.count is None for term in terms.values())
