"""Evenly spaced snippets at test time, and the way back to the snippets of the video."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsc_jax.localization.segments import make_segments
from tsc_jax.method import Method, Outputs
from tsc_jax.nn.sampling import even_places, on_even_samples, spans_of_snippets, take_evenly


@pytest.mark.parametrize("offset", [0, 0.5])
@given(length=st.integers(1, 500), number=st.integers(1, 80))
def test_places_are_the_published_ones(offset, length, number):
    expected = [int((n + offset) * length / number) for n in range(number)] if length > number else range(number)
    np.testing.assert_array_equal(even_places(length, number, offset), list(expected))


@given(length=st.integers(1, 500), number=st.integers(1, 80))
def test_every_span_is_the_span_of_its_middle_snippet(length, number):
    spans = np.asarray(spans_of_snippets(length, length, number))
    assert set(spans.tolist()) == set(range(min(length, number))) and (np.diff(spans) >= 0).all()
    middles = np.asarray(even_places(length, number, 0.5))[: min(length, number)]
    np.testing.assert_array_equal(spans[middles], np.arange(min(length, number)))


def seen_by(length: int, padded: int, number: int, offset: float) -> np.ndarray:
    features = np.where(np.arange(padded) < length, np.arange(padded), -1)[None, :, None].astype(np.float32)
    taken, mask = take_evenly(jnp.asarray(features), jnp.arange(padded)[None] < length, number, offset)
    return np.asarray(taken)[0, np.asarray(mask)[0], 0]


@pytest.mark.parametrize("length", [1, 4, 5, 6, 11])
def test_padding_does_not_move_the_samples(length):
    for padded in (length, length + 1, 20):
        np.testing.assert_array_equal(seen_by(length, padded, 5, 0), seen_by(length, length, 5, 0))
    assert len(seen_by(length, 20, 5, 0)) == min(length, 5)


def counting_method() -> Method:
    """Its track is the value of each snippet that it sees, and stands for its class scores.

    It finds one segment over samples 1 to 3, with the sum of the track as score.
    """

    def forward(variables, features, mask):
        track = features[..., 0]
        return Outputs({"cas": features, "attention": track}, {"mean": jnp.sum(track, axis=1, where=mask)[:, None]})

    def localize(outputs):
        videos, sums = np.arange(len(outputs)), [track.sum() for track in class_scores(outputs)]
        return make_segments(videos, 0, videos * 0 + 1, videos * 0 + 3, sums)

    def class_scores(outputs):
        for each in outputs:
            assert each["mean"].shape == (1,)
        return [each["attention"] for each in outputs]

    return Method(lambda key: ({}, {}), None, optax.identity(), None, forward, localize, class_scores)


def test_outputs_come_back_at_the_videos_own_snippets_and_localization_sees_the_samples():
    method, lengths = on_even_samples(counting_method(), 5, 0, {"mean"}), [3, 5, 12]
    mask = np.arange(12) < np.array(lengths)[:, None]
    features = np.where(mask, np.arange(12, dtype=np.float32), -1)[..., None]
    outputs = method.forward({}, jnp.asarray(features), jnp.asarray(mask))
    assert outputs.snippets["cas"].shape == (3, 12, 1) and outputs.snippets["attention"].shape == (3, 12)
    videos = [
        {name: np.asarray(array)[row, :length] for name, array in outputs.snippets.items()}
        | {name: np.asarray(array)[row] for name, array in outputs.videos.items()}
        for row, length in enumerate(lengths)
    ]
    for track, expected in zip(method.class_scores(videos), ([0, 1, 2], [0, 1, 2, 3, 4], [0, 2, 4, 7, 9]), strict=True):
        np.testing.assert_array_equal(track, expected)
    segments = method.localize(videos)
    np.testing.assert_allclose(segments.start, [1, 1, 12 / 5])
    np.testing.assert_allclose(segments.end, [3, 3, 36 / 5])
    np.testing.assert_array_equal(segments.score, [3, 10, 22])
