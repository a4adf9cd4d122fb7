"""Which cells answer for which segments."""

import ml_collections
import numpy as np
import pytest

from configs import self_training
from tests.methods.self_train.test_labels import random_segments
from tsc_jax.localization.segments import make_segments
from tsc_jax.methods.self_train import labels
from tsc_jax.methods.self_train.cells import assign, range_of, segments_of

CLASSES, LENGTHS = 3, (37, 61)


def settings(**changes) -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict(self_training.REGRESSION | changes)


def of_crop(segments, first: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels [1, length] and distances [1, length, 2] of a crop of the second video."""
    rows = slice(LENGTHS[0] + first, LENGTHS[0] + first + length)
    of_all = labels.snippet_labels(segments, LENGTHS, CLASSES), labels.snippet_distances(segments, LENGTHS)
    return tuple(array[rows][None] for array in of_all)


def wanted_of(segments, snippet: int, middle: float, level: int, chosen) -> tuple[int, float, float] | None:
    """Class, start and end that a cell around `middle` shall say, from the segment that `snippet` belongs to."""
    holds = [row for row in range(len(segments)) if segments.start[row] <= snippet + 0.5 < segments.end[row]]
    if not holds:
        return None
    row = max(holds, key=lambda row: segments.score[row])
    start, end = segments.start[row], segments.end[row]
    lowest = [0, 4, 8, 16][level] * chosen.first_range / 4
    highest = [4, 8, 16, np.inf][level] * chosen.first_range / 4
    if not start < middle < end or not lowest <= max(middle - start, end - middle) < highest:
        return None
    if abs((start + end) / 2 - middle) > chosen.centre_radius * 2**level:
        return None
    return segments.label[row], middle - start, end - middle


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("chosen", [{}, {"centre_radius": 0.5, "first_range": 3.0}])
def test_cells_answer_for_the_segments_of_an_oracle(whole, chosen):
    chosen, found = settings(**chosen), 0
    for seed in range(8):
        segments = random_segments(np.random.default_rng(seed), LENGTHS, CLASSES, 12, longest=40)
        if whole:
            segments = make_segments(
                segments.video, segments.label, *map(np.round, (segments.start, segments.end)), segments.score
            )
        own = segments[segments.video == 1]
        first, length = 5 * (seed % 4), 29 + 4 * (seed % 2)
        label, distances = of_crop(segments, first, length)
        for level in range(4):
            given, ends = map(np.asarray, assign(label, distances, level, chosen, CLASSES))
            assert given.shape == (1, -(-length // 8) * 8 // 2**level)
            for cell in range(given.shape[1]):
                middle = first + (cell + 0.5) * 2**level
                snippet = int(np.ceil(middle - 1))
                wanted = wanted_of(own, snippet, middle, level, chosen) if snippet < first + length else None
                assert given[0, cell] == (CLASSES if wanted is None else wanted[0])
                if wanted is not None:
                    np.testing.assert_allclose(ends[0, cell], wanted[1:], rtol=1e-5)
                    found += 1
    assert found > 10


def test_cells_near_the_middle_of_a_segment_answer_for_it_at_the_level_of_their_distance():
    label, distances = of_crop(make_segments([1], [2], [10.0], [30.0]), 0, 61)
    given = [np.asarray(assign(label, distances, level, settings(), CLASSES)[0][0]) for level in range(4)]
    # Level 2: around 18 and 22, which are 12 from an end; level 3: around 12 and 28, which are 18 from an end.
    assert [np.flatnonzero(of_level == 2).tolist() for of_level in given] == [[], [], [4, 5], [1, 3]]
    assert set(np.concatenate(given)) == {2, CLASSES}


def test_distances_point_beyond_a_crop():
    label, distances = of_crop(make_segments([1], [0], [10.0], [30.0]), 16, 16)
    given, ends = assign(label, distances, 2, settings(), CLASSES)
    start, end = segments_of(ends, 2)
    taken = np.asarray(given[0]) == 0
    assert taken.any()
    np.testing.assert_allclose(np.asarray(start)[0, taken] + 16, 10)
    np.testing.assert_allclose(np.asarray(end)[0, taken] + 16, 30)


def test_the_ranges_of_the_levels_meet_and_leave_nothing_out():
    assert [range_of(level, settings()) for level in range(4)] == [(0, 4), (4, 8), (8, 16), (16, np.inf)]
    assert range_of(0, settings(levels=1)) == (0, np.inf)
