"""Each file of recordings is recognized by itself, and a number that differs is noticed."""

import shutil

import numpy as np
import pytest

from configs import mmsd_thumos14
from tsc_jax import parity
from tsc_jax.methods.mmsd.parity import check_proposals

CONFIG = mmsd_thumos14.get_config()


@pytest.mark.parametrize("name", ["model.npz", "proposals.npz"])
def test_one_file_tells_the_method(shared, tmp_path, name):
    shutil.copy(shared / "methods" / "mmsd" / "golden" / name, tmp_path)
    assert parity.method_of(tmp_path) == "mmsd"


@pytest.mark.slow
def test_recorded_numbers_on_two_devices(shared):
    """tests/methods/test_contract.py compares them on one device."""
    rows = list(parity.check_folder(shared / "methods" / "mmsd" / "golden", CONFIG, devices=2))
    assert len(rows) == 245
    assert [row for row in rows if row.verdict != parity.OK] == []


@pytest.mark.parametrize(
    ("array", "noticed"),
    [
        ("9/snippet_score", {"9/snippet_score"}),
        ("8/candidates", {"8/candidates segments", "8/candidates scores"}),
        ("3/proposals", {"3/proposals segments", "3/proposals scores"}),
        ("eval/filtered/ap", {"eval/filtered/ap"}),
        ("eval/classification_mAP", {"eval/classification_mAP"}),
    ],
)
def test_a_number_that_differs_fails(shared, array, noticed):
    recording = dict(np.load(shared / "methods" / "mmsd" / "golden" / "proposals.npz"))
    recording[array] = recording[array] + 1e-3
    fails = {row.quantity for row in check_proposals(recording, CONFIG) if row.verdict == parity.FAILS}
    assert fails == noticed
