"""Event files: TensorBoard's own reader finds in them what scalars.jsonl holds."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tsc_jax.errors import InputError
from tsc_jax.report.tensorboard import write_events
from tsc_jax.training.log import read_scalars

ROOT = Path(__file__).resolve().parents[2]
LINES = [{"step": 20 * i, "total": 1 / i, **({"test/mAP@0.5": 1.5 * i} if i % 2 else {})} for i in range(1, 2000)]


def write_lines(folder, lines, end=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scalars.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + end)


def test_every_value_arrives(tmp_path):
    write_lines(tmp_path, LINES, end='{"step": 40000, "tot')
    assert write_events(tmp_path).startswith("2999 values")
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    scalars = read_scalars(tmp_path / "scalars.jsonl")
    assert events.Tags()["scalars"] == sorted(scalars) == ["test/mAP@0.5", "total"]
    for name, (steps, values) in scalars.items():
        assert [event.step for event in events.Scalars(name)] == steps.tolist()
        np.testing.assert_array_equal([event.value for event in events.Scalars(name)], values.astype(np.float32))
    before = {path.name: path.read_bytes() for path in (tmp_path / "tensorboard").iterdir()}
    write_events(tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "tensorboard").iterdir()} == before


def test_each_seed_is_a_run(tmp_path):
    for seed in (2, 10):
        write_lines(tmp_path / f"seed_{seed}", LINES[:5])
    command = [sys.executable, "-m", "launch.tensorboard", f"--workdir={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert f"tensorboard --logdir {tmp_path}" in done.stdout
    assert sorted(path.parent.parent.name for path in tmp_path.glob("*/tensorboard/*tfevents*")) == [
        "seed_10",
        "seed_2",
    ]


def test_what_is_missing_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"scalars\.jsonl: holds no scalars"):
        write_events(tmp_path)
    (tmp_path / "scalars.jsonl").write_text('{"step": 1, "total": 2}\n[3]\n')
    with pytest.raises(InputError, match=r"scalars\.jsonl, line 2: expected .*, found \[3\]"):
        write_events(tmp_path)
    assert not (tmp_path / "tensorboard").exists()
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(InputError, match=r"pip install -r requirements-tensorboard\.txt"):
        write_events(tmp_path)
