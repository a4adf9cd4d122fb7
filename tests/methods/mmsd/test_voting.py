"""Confidences, votes and the renewal of pseudo labels, against loops and by their properties."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.methods.mmsd.small import small_config
from tsc_jax.methods.mmsd.voting import confidence, pseudo_labels, renew, vote
from tsc_jax.nn.cosine import Scores

STREAMS = ("rgb", "flow", "peer")
SETTINGS = small_config().pseudo
shares = st.floats(0, 1, width=32)


def test_confidence_is_its_formula():
    rng = np.random.default_rng(0)
    p, labels = rng.random((2, 5, 4)).astype(np.float32), np.array([[True, False, True], [False, True, False]])
    expected = [[abs(sum(p[b, t, c] for c in range(3) if labels[b, c]) - p[b, t, 3]) for t in range(5)] for b in (0, 1)]
    np.testing.assert_allclose(confidence(p, labels), expected, rtol=1e-6)
    np.testing.assert_allclose(confidence(jnp.asarray(p), jnp.asarray(labels)), expected, rtol=1e-6)


def expected_votes(sure, carried, allowed):
    """One snippet after another, as the page of the method says it."""
    target, selected = np.zeros(sure.shape), np.zeros(sure.shape, bool)
    for m, b, t in np.ndindex(sure.shape):
        voters = [
            n
            for n in range(len(sure))
            if allowed[b, t] and sure[n, b, t] >= 0.6 and (n == m or sure[n, b, t] - sure[m, b, t] >= 0.3)
        ]
        selected[m, b, t] = bool(voters)
        target[m, b, t] = sum(carried[n, b, t] for n in voters) / (len(voters) + 1e-4)
    return target, selected


def test_votes_are_counted_as_published():
    """Classes are two: the probability of the action alone decides the confidence."""
    rng = np.random.default_rng(0)
    for streams in (STREAMS, STREAMS[:1]):
        cas = 2 * rng.normal(size=(len(streams), 4, 50, 2)).astype(np.float32)
        scores = {name: Scores(array, None, None, None, None) for name, array in zip(streams, cas, strict=True)}
        carried, allowed = rng.random(cas.shape[:3]) < 0.5, rng.random((4, 50)) < 0.9
        votes = vote(scores, jnp.asarray(carried), jnp.ones((4, 1), bool), jnp.asarray(allowed), SETTINGS)
        target, selected = expected_votes(np.asarray(votes.confidence), carried, allowed)
        np.testing.assert_array_equal(votes.selected, selected)
        np.testing.assert_allclose(votes.target, target, atol=1e-6)
        kinds = set(np.round(target[selected], 4))
        assert kinds >= ({0, 0.9999, 1.0} if len(streams) > 1 else {0, 0.9999})


@given(
    arrays.arrays(np.float32, (2, 6), elements=shares),
    arrays.arrays(bool, (2, 6)),
    arrays.arrays(np.float32, (2, 4), elements=shares),
    arrays.arrays(bool, (2, 4)),
)
def test_a_label_stays_until_its_stream_is_surer_than_ever(old, old_labels, sure, labels):
    carried = {"labels": old_labels, "confidence": old}
    renewed = renew(carried, labels, sure)
    better = sure > old[:, :4]
    np.testing.assert_array_equal(renewed["confidence"][:, :4], np.maximum(old[:, :4], sure))
    np.testing.assert_array_equal(renewed["labels"][:, :4], np.where(better, labels, old_labels[:, :4]))
    np.testing.assert_array_equal(renewed["labels"][:, 4:], old_labels[:, 4:])
    assert renewed["labels"].dtype == bool and renewed["confidence"].dtype == np.float32
    again = renew(renewed, ~labels, sure)
    jax.tree.map(np.testing.assert_array_equal, again, renewed)


def test_pseudo_labels_follow_the_order_of_the_videos():
    class Shown:
        def __init__(self, labels):
            self.labels = np.array(labels)

    rng = np.random.default_rng(0)
    outputs = [
        {"attention": rng.random((length, 2)), "probabilities": rng.random((length, 2, 3))} for length in (3, 1, 4)
    ]
    videos = [Shown([True, False]), Shown([False, True]), Shown([True, True])]
    labels, sure = pseudo_labels(outputs, videos, 0.55)
    assert labels.shape == sure.shape == (2, 8)
    first = 0
    for output, video in zip(outputs, videos, strict=True):
        last = first + len(output["attention"])
        np.testing.assert_array_equal(labels[:, first:last], output["attention"].T > 0.55)
        for stream in range(2):
            own = confidence(output["probabilities"][:, stream], video.labels)
            np.testing.assert_allclose(sure[stream, first:last], own)
        first = last
