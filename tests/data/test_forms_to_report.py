"""A folder in a form that people have on disk becomes a report: one command prepares it, one trains, one reports."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import toy
from tests.data.test_forms import FPS, NAMES, write_hdf5, write_opentad, write_streams
from tsc_jax.data.dataset import open_dataset
from tsc_jax.report.run import report
from tsc_jax.training.loop import train

ROOT = Path(__file__).resolve().parents[2]
FORMS = {
    "opentad": (write_opentad, ["--feat_stride=4"], {name: fps / 4 for name, fps in FPS.items()}),
    "um": (write_streams, ["--feat_stride=16"], {name: fps / 16 for name, fps in FPS.items()}),
    "hdf5": (write_hdf5, [], dict.fromkeys(FPS, 1.0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_one_command_prepares_what_a_report_is_written_of(form, tmp_path):
    write, flags, rates = FORMS[form]
    folder, data_dir = write(tmp_path / "source"), tmp_path / "data"
    command = [sys.executable, "-m", "launch.prepare", "--name=mine", f"--source={folder}", f"--data_dir={data_dir}"]
    done = subprocess.run([*command, *flags], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    videos = [*open_dataset(data_dir, "mine").train.videos, *open_dataset(data_dir, "mine").test.videos]
    assert {video.name: video.snippets_per_second for video in videos} == rates
    small = {"train.steps": 2, "eval.after": 2, "train.batches": "epochs", "train.batch_size": 2, "train.pairs": 0}
    train(toy.recipe(**{"data.name": "mine", "data.data_dir": str(data_dir)} | small), tmp_path / "run")
    assert "mAP" in report(tmp_path / "run", {})
    page = (tmp_path / "run" / "report.html").read_text()
    assert all(name in page for name in NAMES["test"])
