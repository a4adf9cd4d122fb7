"""docs/tour.ipynb runs from its first cell to its last, and is stored without what it shows."""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
TOUR = ROOT / "docs" / "tour.ipynb"


def test_it_is_stored_without_outputs():
    cells = [cell for cell in nbformat.read(TOUR, as_version=4).cells if cell.cell_type == "code"]
    assert cells and all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.slow
def test_a_newcomer_runs_it(tmp_path, monkeypatch):
    """Without the run of the demo, so that it trains it, with fewer steps."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    folder = tmp_path / "docs"
    folder.mkdir()
    shutil.copy(TOUR, folder)
    tour = nbformat.read(folder / TOUR.name, as_version=4)
    assert "steps = 400" in tour.cells[1].source
    tour.cells[1].source = tour.cells[1].source.replace("steps = 400", "steps = 2")
    NotebookClient(tour, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output.data for cell in tour.cells[2:] for output in cell.get("outputs", ()) if "data" in output]
    assert [sorted(each.keys() - {"text/plain"}) for each in outputs] == [
        [], [], [], ["text/html"], ["image/png"], ["text/markdown"], ["text/markdown"], ["image/png"]
    ]  # fmt: skip
    assert "external rotation" in outputs[5]["text/markdown"] and "**mAP**" in outputs[6]["text/markdown"]
