"""Fusion equals the procedures as loops; lone proposals come out as they went in."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracles
from tests.localization.made_up import segments
from tsc_jax.localization.fusion import gaussian_fusion, ricker_fusion
from tsc_jax.localization.segments import make_segments


def by_group(several):
    """The rows (start, end, score) of each video and class."""
    groups = {}
    for video, label, *row in zip(*dataclasses.asdict(several).values(), strict=True):
        groups.setdefault((int(video), int(label)), []).append(tuple(map(float, row)))
    return sorted(groups.items())


def gaussian_loops(several, cover, temperature, relative):
    result = []
    for key, group in by_group(several):
        rows = group
        scale = temperature * (abs(max(score for *_, score in rows)) if relative else 1) or 1
        while rows:
            best = rows.pop(max(range(len(rows)), key=lambda i: (rows[i][2], -i)))
            taken = [best, *(row for row in rows if oracles.covered_share(row, best) > cover)]
            rows = [row for row in rows if oracles.covered_share(row, best) <= cover]
            weights = [math.exp((score - best[2]) / scale) for *_, score in taken]
            result.append((*key, *(np.average(column, weights=weights) for column in zip(*taken, strict=True))))
    return np.reshape(result, (-1, 5))


def columns(several):
    return np.stack([several.video, several.label, several.start, several.end, several.score], axis=1)


@given(segments(), st.sampled_from([0.0, 0.25, 0.9]), st.sampled_from([0.2, 3.0]), st.booleans())
def test_gaussian_fusion_equals_the_loops(several, cover, temperature, relative):
    result = gaussian_fusion(several, cover=cover, temperature=temperature, relative=relative)
    expected = gaussian_loops(several, cover, temperature, relative)
    np.testing.assert_allclose(columns(result), expected, rtol=1e-9, atol=1e-9)


def test_a_relative_temperature_does_not_depend_on_the_scale_of_scores():
    several = make_segments(0, 0, [0, 1, 40], [10, 9, 50], [0.9, 0.5, 0.2])
    larger = dataclasses.replace(several, score=100 * several.score)
    one, other = gaussian_fusion(several), gaussian_fusion(larger)
    np.testing.assert_allclose([one.start, one.end], [other.start, other.end])
    assert len(one) == 2 and 0 < one.start[0] < 0.5


def ricker_at(rows, time):
    """The sum of the waves at one time."""
    total = 0.0
    for start, end, score in rows:
        x = (time - (start + end) / 2) / ((end - start) / 2)
        total += score / math.sqrt(end - start) * (1 - x * x) * math.exp(-x * x / 2)
    return total


@given(segments())
def test_ricker_fusion_finds_where_the_sum_is_positive(several):
    result = ricker_fusion(several)
    groups = dict(by_group(several[several.end > several.start]))
    rows = {key: [row for row in group if row[2] > 0] for key, group in groups.items()}
    assert set(zip(result.video.tolist(), result.label.tolist(), strict=True)) <= {key for key in rows if rows[key]}
    for key, group in groups.items():
        own = result[(result.video == key[0]) & (result.label == key[1])]
        assert (own.start < own.end).all() and (own.end[:-1] < own.start[1:] + 1e-9).all()
        if not rows[key]:
            continue
        slack = min(end - start for start, end, _ in group) / 10
        low, high = min(row[0] for row in rows[key]), max(row[1] for row in rows[key])
        for time in np.linspace(low, high, 60):
            if np.abs(np.concatenate([own.start, own.end]) - time).min(initial=np.inf) < slack:
                continue
            inside = ((own.start <= time) & (time <= own.end)).any()
            value = ricker_at(group, time)
            assert inside == (value > 0) or abs(value) < 0.05 or touches_zero(group, time, slack)


def touches_zero(rows, time, slack):
    """Whether the sum changes its sign within the resolution of the grid."""
    signs = {ricker_at(rows, time + shift * slack) > 0 for shift in np.linspace(-1, 1, 21)}
    return len(signs) == 2


@pytest.mark.parametrize("unit", [1, 0.01, 60])
def test_a_lone_proposal_keeps_its_ends_and_its_energy_depends_on_its_score_alone(unit):
    result = ricker_fusion(make_segments(0, 2, [3 * unit], [8 * unit], [0.5]))
    np.testing.assert_allclose([*result.start, *result.end], [3 * unit, 8 * unit])
    np.testing.assert_allclose(result.score, 0.468 * 0.25, rtol=0.01)
    assert result.label.tolist() == [2]


def test_proposals_that_agree_become_one_and_neighbours_stay_apart():
    agreeing = make_segments(0, 0, [0, 0.5, 20], [10, 10.5, 30], [1.0, 1.0, 1.0])
    result = ricker_fusion(agreeing)
    assert len(result) == 2
    assert 0 < result.start[0] < 0.5 and 10 < result.end[0] < 10.5
    assert result.score[0] > 3 * result.score[1]


@pytest.mark.parametrize("fuse", [gaussian_fusion, ricker_fusion])
def test_of_nothing_comes_nothing(fuse):
    assert len(fuse(make_segments([], [], [], []))) == 0


def test_scores_below_0_and_segments_without_length_make_no_waves_of_their_own():
    assert len(ricker_fusion(make_segments(0, 0, [0, 5], [10, 5], [-1.0, 1.0]))) == 0
