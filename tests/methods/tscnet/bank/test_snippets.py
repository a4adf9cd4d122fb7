"""Snippets are drawn evenly from all videos, and never more than the limit."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsc_jax.methods.tscnet.bank import fit
from tsc_jax.methods.tscnet.bank.fit import LIMIT, draw_snippets, numbers, of_split


def places_split(lengths: list[int]) -> SimpleNamespace:
    """Videos whose features say where they come from: (video, snippet)."""

    def features(index: int) -> np.ndarray:
        return np.stack([np.full(lengths[index], index), np.arange(lengths[index])], axis=1).astype(np.float32)

    return SimpleNamespace(videos=[None] * len(lengths), features=features)


@given(st.integers(1, 3 * LIMIT), st.integers(1, 2 * LIMIT))
def test_the_limit_is_kept_and_used(videos, per_video):
    drawn, each = numbers(videos, per_video)
    assert 1 <= drawn <= videos and 1 <= each <= per_video and drawn * each <= LIMIT
    if videos * per_video <= LIMIT:
        assert (drawn, each) == (videos, per_video)
    else:
        assert 2 * drawn * each > LIMIT
    assert drawn == videos or each == 1


def test_the_published_numbers_are_under_the_limit():
    assert numbers(200, 320) == (200, 320), "THUMOS-14"
    assert numbers(4819, 20) == (4819, 20), "ActivityNet-1.2"


@pytest.mark.parametrize(("limit", "videos", "per_video"), [(100, 7, 10), (30, 7, 4), (3, 3, 1)])
def test_every_drawn_video_gives_as_many_snippets(monkeypatch, limit, videos, per_video):
    monkeypatch.setattr(fit, "LIMIT", limit)
    drawn = of_split(places_split([20, 3, 30, 40, 1, 60, 11]), 10, seed=4)
    assert drawn.shape == (videos * per_video, 2) and drawn.dtype == np.float32
    names, counts = np.unique(drawn[:, 0], return_counts=True)
    assert len(names) == videos and set(counts) == {per_video}
    assert np.ptp(np.diff(names)) <= 1, "evenly spaced"


def test_the_seed_draws_the_snippets():
    split = places_split([200, 300])
    one, same, other = (of_split(split, 20, seed) for seed in (1, 1, 2))
    assert one.tobytes() == same.tobytes() and (one != other).any()


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
def test_one_snippet_comes_from_each_span(length, number, seed):
    features = np.arange(length, dtype=np.float32)[:, None]
    drawn = draw_snippets(features, number, np.random.default_rng(seed))[:, 0]
    assert len(drawn) == number and drawn.min() >= 0 and drawn.max() <= length - 1
    if length < number:
        np.testing.assert_allclose(drawn, np.linspace(0, length - 1, number), atol=1e-4)
    else:
        edges = np.arange(number + 1) * length // number
        assert (edges[:-1] <= drawn).all() and (drawn < edges[1:]).all()
