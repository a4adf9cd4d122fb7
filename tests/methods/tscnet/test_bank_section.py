"""The section about the bank shows the numbers it was given."""

import html
import re

import numpy as np
import pytest

from tests.report.pages import picture, pictures, tooltips
from tsc_jax.methods.tscnet.report import bank_section

CLASSES = ("<b>run</b>", "jump & fall", "turn", "never")


def shown_cells(body, title):
    return {tooltip for tooltip in tooltips(picture(body, title)) if ":" in tooltip}


def test_maps_show_attention_and_similarity_and_shared_rows_are_named():
    attention = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.0, 0.1, 0.9]])
    body = bank_section(np.array([[1.0, 0], [1, 1], [0, 2]]), attention, CLASSES).body
    cells = [html.unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", body)]
    assert cells == ["1", f"{CLASSES[0]}, {CLASSES[2]}", "2", f"{CLASSES[3]}, background"]
    similarities = shown_cells(body, "similarity of the rows")
    assert {"row 0, row 1: 0.707", "row 0, row 2: 0.000", "row 2, row 2: 1.000"} <= similarities
    assert {f"{CLASSES[1]}, row 0: 0.600", "background, row 2: 0.900"} <= shown_cells(body, "attention to the rows")


def test_without_attention_there_is_only_the_similarity():
    body = bank_section(np.eye(5, 4), None, CLASSES).body
    assert [each.get("aria-label") for each in pictures(body)] == ["similarity of the rows"]
    assert "<td>" not in body


@pytest.mark.parametrize("attention", [None, np.random.default_rng(1).dirichlet(np.ones(60), 5)])
def test_a_large_bank_is_listed_in_tables(attention):
    rows = np.random.default_rng(0).normal(size=(60, 8))
    rows[7] = 2 * rows[31]
    body = bank_section(rows, attention, CLASSES).body
    assert pictures(body) == []
    most_similar = re.findall(r"<td>(.*?)</td>", body[body.index("Most similar rows") :])
    assert sorted(most_similar[:2], key=int) == ["7", "31"] and most_similar[2] == "1.00"
