"""Event files: TensorBoard's own reader finds in them what scalars.jsonl holds, also while a run trains and resumes."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from tests.training.small import toy_run
from tsc_jax.errors import InputError
from tsc_jax.report.tensorboard import FILES, check_installed, follow, write_events
from tsc_jax.training import loop
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
    before = [path.read_bytes() for path in (tmp_path / "tensorboard").iterdir()]
    write_events(tmp_path)
    assert [path.read_bytes() for path in (tmp_path / "tensorboard").iterdir()] == before


def test_each_seed_is_a_run(tmp_path):
    for seed in (2, 10):
        write_lines(tmp_path / f"seed_{seed}", LINES[:5])
    assert write_events(tmp_path).endswith(f"tensorboard --logdir {tmp_path}")
    assert sorted(path.parent.parent.name for path in tmp_path.glob(f"*/tensorboard/{FILES}")) == ["seed_10", "seed_2"]


def test_what_is_missing_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"scalars\.jsonl: holds no scalars"):
        write_events(tmp_path)
    (tmp_path / "scalars.jsonl").write_text('{"step": 1, "total": 2}\n[3]\n')
    with pytest.raises(InputError, match=r"scalars\.jsonl, line 2: expected .*, found \[3\]"):
        write_events(tmp_path)
    assert not (tmp_path / "tensorboard").exists()
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for called in (check_installed, lambda: write_events(tmp_path)):
        with pytest.raises(InputError, match=r"pip install -r requirements-tensorboard\.txt"):
            called()


def shown(workdir):
    """What TensorBoard shows of a run: its scalars and the steps of its pictures, by tag, and its recipes."""
    reader = EventAccumulator(str(workdir / "tensorboard"), {"scalars": 0, "images": 0, "tensors": 0}).Reload()
    scalars = {tag: [(each.step, each.value) for each in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}
    images = {tag: [each.step for each in reader.Images(tag)] for tag in reader.Tags()["images"]}
    recipes = [make_ndarray(each.tensor_proto).item().decode() for each in reader.Tensors("recipe")]
    return scalars, images, recipes


def check_shown(workdir, steps, judged, rate=1e-3):
    """The events are those of scalars.jsonl, once each, with the rates and the pictures besides."""
    scalars, images, recipes = shown(workdir)
    for name, (of_file, values) in read_scalars(workdir / "scalars.jsonl").items():
        assert scalars.pop(name) == list(zip(of_file.tolist(), values.astype(np.float32).tolist(), strict=True))
    assert scalars.pop("learning_rate") == [(step, pytest.approx(rate)) for step in range(1, steps + 1)]
    assert {step for step, _ in scalars.pop("steps_per_second")} <= set(range(1, steps + 1)) and not scalars
    assert len(images) == 1 and set(map(tuple, images.values())) == {judged}
    return recipes


def test_a_run_is_shown_while_it_trains_and_no_step_twice_when_it_resumes(data_dir, tmp_path):
    loop.train_and_evaluate(toy_run(data_dir, **{"train.steps": 4}), tmp_path, follow)
    recipes = check_shown(tmp_path, 4, (3, 4))
    assert len(recipes) == 1 and '"method": "toy"' in recipes[0]
    reader = EventAccumulator(str(tmp_path / "tensorboard"), {"scalars": 0}).Reload()  # it stays open
    lost = follow(tmp_path, toy_run(data_dir), None, 4)  # steps that no checkpoint holds
    lost.scalars(5, {"total": 7.0, "learning_rate": 7.0})
    lost.scalars(6, {"total": 7.0})
    lost.close()
    assert [each.value for each in reader.Reload().Scalars("total")][4:] == [7, 7]
    with sorted((tmp_path / "tensorboard").glob(FILES))[-1].open("ab") as file:
        file.write(b"half a record")
    loop.train_and_evaluate(toy_run(data_dir), tmp_path, follow)
    check_shown(tmp_path, 6, (3, 4, 6))
    assert [each.step for each in reader.Reload().Scalars("total")] == [1, 2, 3, 4, 5, 6]
    before = shown(tmp_path)
    write_events(tmp_path)  # what scalars.jsonl holds is written again, everything else stays
    assert shown(tmp_path) == before


def test_every_seed_has_events_and_other_processes_write_none(data_dir, tmp_path, monkeypatch):
    few = {"train.steps": 2, "train.seeds": 2, "eval.after": 2}
    loop.train_and_evaluate(toy_run(data_dir, **few), tmp_path / "first", follow)
    for seed in (0, 1):
        check_shown(tmp_path / "first" / f"seed_{seed}", 2, (2,))
    monkeypatch.setattr(loop.processes, "is_first", lambda: False)
    loop.train_and_evaluate(toy_run(data_dir, **few), tmp_path / "other", follow)
    assert not list((tmp_path / "other").glob(f"**/{FILES}"))
