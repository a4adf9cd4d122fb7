"""Ambiguous stretches: the file, and the two rules for predictions in them."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsc_jax.data.clock import Clock
from tsc_jax.errors import InputError
from tsc_jax.evaluation.ambiguous import is_ambiguous, read_ambiguous, shares_snippet
from tsc_jax.evaluation.evaluate import without_ambiguous
from tsc_jax.localization.segments import make_segments

RATE = 25 / 16
stretches = st.lists(
    st.tuples(st.integers(0, 2), st.floats(0, 20), st.floats(0, 8)).map(lambda x: (x[0], x[1], x[1] + x[2])),
    max_size=5,
)
snippets = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(1, 12)), max_size=8)


@given(stretches, snippets)
def test_a_prediction_shares_a_snippet_as_sets_of_snippets_do(stretches, snippets):
    def rounded(start, end):
        return set(range(round(RATE * start), round(RATE * end)))

    expected = [
        any(video == other and set(range(start, start + length)) & rounded(*times) for other, *times in stretches)
        for video, start, length in snippets
    ]
    video, start, length = np.reshape(snippets, (-1, 3)).T
    predictions = make_segments(video, 0, start, start + length).scaled(1 / RATE)
    ambiguous = make_segments(*np.insert(np.reshape(stretches, (-1, 3)), 1, 0, axis=1).T)
    np.testing.assert_array_equal(shares_snippet(predictions, ambiguous, RATE), expected)


def test_predictions_of_a_run_are_dropped_by_a_file(tmp_path):
    split = SimpleNamespace(videos=[SimpleNamespace(name="a"), SimpleNamespace(name="b")], clock=Clock(1.0))
    predictions = make_segments([0, 1, 1], [1, 0, 2], [0, 0, 5], [5, 5, 9])
    assert without_ambiguous(predictions, split, "") is predictions
    path = tmp_path / "ambiguous.txt"
    path.write_text("b  4.6 8\n")  # rounds to snippets 5, 6 and 7
    np.testing.assert_array_equal(without_ambiguous(predictions, split, str(path)).label, [1, 0])
    with pytest.raises(InputError, match=r"nowhere\.txt"):
        without_ambiguous(predictions, split, str(tmp_path / "nowhere.txt"))


def test_mostly_ambiguous_predictions_are_detected(tmp_path):
    path = tmp_path / "ambiguous.txt"
    path.write_text("b  10.0 20.0\nelsewhere 0 1\n\na 0 4\n")
    ambiguous = read_ambiguous(path, ["a", "b"])
    predictions = make_segments([1, 1, 1, 0, 1], 0, [10, 5, 4, 10, 15], [20, 15, 16, 20, 15])
    np.testing.assert_array_equal(is_ambiguous(predictions, ambiguous), [True, False, False, False, False])
    np.testing.assert_array_equal(is_ambiguous(predictions, read_ambiguous(path, ["c"])), [False] * 5)


@pytest.mark.parametrize("line", ["a 1", "a 1 x", "a 2 1", "a 1 nan", "a 1 inf"])
def test_wrong_ambiguous_lines_are_named(tmp_path, line):
    path = tmp_path / "ambiguous.txt"
    path.write_text(f"a 1 2\n{line}\n")
    with pytest.raises(InputError, match=r"ambiguous\.txt, line 2"):
        read_ambiguous(path, ["a"])
