"""A run in a bucket is the run of a local folder, whatever happens; an emulator takes the place of the bucket."""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

import tsc_jax
from tests.training.killed import kill_after, starter, steps_on_disk
from tests.training.small import SMALL, toy_run
from tsc_jax import buckets, leases
from tsc_jax.data.dataset import open_dataset
from tsc_jax.errors import InputError
from tsc_jax.files import Journal, open_path, replacing
from tsc_jax.report import tensorboard
from tsc_jax.report.run import report
from tsc_jax.training import checkpoints
from tsc_jax.training.export import export_run
from tsc_jax.training.loop import train, train_and_evaluate
from tsc_jax.training.trained import open_trained

if importlib.util.find_spec("gcsfs") is None:  # the library itself is to import it
    pytest.skip("needs gcsfs: pip install -r requirements-gcs.txt", allow_module_level=True)
pytest.importorskip("gcp_storage_emulator", reason="needs gcp-storage-emulator: pip install -r tests/requirements.txt")
pytest.importorskip("tensorboard", reason="needs TensorBoard: pip install -r requirements-tensorboard.txt")
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from tests import emulator

pytestmark = pytest.mark.slow

STEPS, KILLS = 24, 4
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with emulator.emulator() as address:
        yield address


@pytest.fixture(scope="module")
def remote(bucket, data_dir) -> Path:
    """A finished run of the toy method in the bucket, the same as `toy_finished`."""
    train(toy_run(data_dir), f"{bucket}/finished")
    return open_path(f"{bucket}/finished")


def objects(folder: Path) -> list[str]:
    """The names of all objects in a folder of the bucket."""
    return [os.fspath(parent / name) for parent, _, names in folder.walk() for name in names]


def recipe(data_dir: Path):
    often = {"train.batch_size": 2, "train.pairs": 1, "checkpoint.every_steps": 1, "train.log_every": 1}
    return toy_run(data_dir, **{"train.steps": STEPS, "eval.after": 8, "eval.every": 8}, **often)


def child(url: str, data_dir: Path, workdir: str) -> None:
    emulator.reach(url)
    jax.config.update("jax_num_cpu_devices", 1)
    train(recipe(data_dir), workdir)


def test_a_run_killed_in_a_bucket_ends_as_a_local_one(bucket, data_dir, tmp_path):
    start, url = starter(child), os.environ["STORAGE_EMULATOR_HOST"]
    local, killed = tmp_path / "run", open_path(f"{bucket}/run")
    last = checkpoints.folder_of(killed, checkpoints.LAST)
    whole = start(url, data_dir, local)
    whole.join()
    rng = np.random.default_rng(0)
    for _ in range(KILLS):
        step = max(steps_on_disk(killed), default=0) + int(rng.integers(1, 4))
        kill_after(start(url, data_dir, str(killed)), killed, step, rng.uniform(0, 0.3))
    newest = max(steps_on_disk(killed))
    (last / str(newest) / buckets.COMMITTED).unlink(missing_ok=True)  # as if killed just before it was written
    (last / "1" / "state" / "left").write_bytes(b"as if killed while the step was deleted")
    end = start(url, data_dir, str(killed))
    end.join()
    assert (whole.exitcode, end.exitcode) == (0, 0)
    assert steps_on_disk(killed) == steps_on_disk(local) == [STEPS - 1, STEPS]
    for selection in (checkpoints.LAST, checkpoints.BEST_ON_TEST):
        one, other = (open_trained(folder, selection).about for folder in (local, killed))
        assert one == other, "all arrays by checksum"
    assert report(local, {}) == report(killed, {})
    for name in ("scalars.jsonl", "metrics.json", "predictions.json", "best_on_test/metrics.json"):
        assert (local / name).read_text() == (killed / name).read_text()
    assert (killed / "report.html").exists() and list((killed / "figures").glob("*.png"))
    assert not (killed / ".lock").exists()


def test_commands_take_a_bucket(bucket, data_dir, tmp_path):
    changes = SMALL | {"data.data_dir": data_dir, "train.steps": 2, "bank.snippets_per_video": 8}
    flags = [f"--config.{key}={value}" for key, value in changes.items()]
    features = tmp_path / "video.npy"
    np.save(features, open_dataset(data_dir, "made_up").test.features(0))
    commands = (
        ["launch.train", "--config=thumos14", f"--workdir={bucket}/cli", "--tensorboard", *flags],
        ["launch.evaluate", f"--workdir={bucket}/cli", "--protocol=published", f"--output={bucket}/cli/published"],
        ["launch.export", f"--workdir={bucket}/cli", f"--output={bucket}/cli_export", "--stablehlo=16"],
        ["launch.predict", str(features), f"--checkpoint={bucket}/cli_export"],
    )
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
        )
        errors = [line for line in done.stderr.splitlines() if "GOOGLE_AUTH_TOKEN_FOR_TESTING" not in line]
        assert (done.returncode, errors) == (0, [])
    written = objects(open_path(bucket))
    for name in ("report.html", "published/metrics.json", "tensorboard/events"):
        assert any(f"cli/{name}" in each for each in written)
    assert any(each.endswith("cli_export/stablehlo/forward_16.bin") for each in written)
    assert not any(".probe" in each for each in written)


def test_exports_and_events_are_those_of_a_local_run(remote, bucket, toy_finished, tmp_path, data_dir):
    local, export = tmp_path / "export", open_path(f"{bucket}/export")
    for workdir, output in ((toy_finished, local), (remote, export)):
        export_run(workdir, output, "last", "float32", [])
    one, other = (open_trained(folder).about["arrays"] for folder in (local, export))
    assert one == other
    assert (export / "README.md").read_text() == (local / "README.md").read_text()
    features = open_dataset(data_dir, "made_up").test.features(0)
    assert tsc_jax.load(str(export))(features) == tsc_jax.load(toy_finished)(features)
    before = objects(export)
    with pytest.raises(InputError, match="is there already; give another folder"):
        export_run(remote, export, "last", "float32", [])
    assert objects(export) == before

    shutil.copytree(toy_finished, tmp_path / "run")
    for workdir in (remote, tmp_path / "run"):
        tensorboard.write_events(workdir)
    one, other = (
        [path.read_bytes() for path in (folder / "tensorboard").iterdir()] for folder in (remote, tmp_path / "run")
    )
    assert len(one) == 1 and one == other


def test_events_are_written_while_a_run_trains_and_after_it_resumes(bucket, data_dir, tmp_path):
    def told(workdir: Path) -> list[tuple[int, str]]:
        for steps in (3, 6):
            train_and_evaluate(toy_run(data_dir, **{"train.steps": steps}), workdir, tensorboard.follow)
        events = []
        for path in sorted((open_path(workdir) / "tensorboard").iterdir()):
            with buckets.local_file(path) as local:
                events += EventFileLoader(str(local)).Load()
        return [(event.step, value.tag) for event in events for value in event.summary.value]

    assert told(f"{bucket}/followed") == told(tmp_path / "followed")


def test_a_folder_is_whole_in_a_bucket_or_not_there(bucket, monkeypatch):
    target = open_path(f"{bucket}/folder")
    upload = buckets._upload

    def fail(source, path):
        if path.name == "second":
            raise RuntimeError("the network is gone\nfor good")
        upload(source, path)

    monkeypatch.setattr(buckets, "_upload", fail)
    message = rf"{target}: cannot be written \(the network is gone\)"
    with pytest.raises(InputError, match=message), replacing(target) as folder:
        folder.mkdir()
        for name in ("first", "second"):
            (folder / name).write_text("")
    assert objects(target) == []


def test_listings_are_never_remembered(bucket, tmp_path):
    """Not even where another library writes."""
    folder = open_path(f"{bucket}/listed")
    assert list(folder.glob("*")) == []
    buckets.blob_of(folder / "new").upload_from_string(b"")
    assert [path.name for path in folder.iterdir()] == ["new"] and (folder / "new").exists()


def test_a_journal_is_in_the_bucket_at_each_flush(bucket):
    path = open_path(f"{bucket}/journal.jsonl")
    for part in range(2):  # the second goes on with the first
        with contextlib.closing(Journal(path)) as journal:
            for line in range(30):
                journal.append(f"{part} {line}")
            journal.flush()
            assert len(path.read_text().splitlines()) == 30 * (part + 1)
    assert path.read_text() == "".join(f"{part} {line}\n" for part in range(2) for line in range(30))


@pytest.fixture
def hurried(monkeypatch):
    """Leases are renewed often."""
    monkeypatch.setattr(leases, "BEAT", 0.1)


def test_one_of_many_trainings_gets_a_workdir(bucket, hurried):
    folder, got, refused, begin = open_path(f"{bucket}/busy"), [], [], threading.Barrier(6)

    def run(number: int) -> None:
        begin.wait()
        try:
            with leases.leased("--workdir", folder):
                got.append(number)
                while len(refused) < 5:
                    time.sleep(0.05)
        except InputError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert refused == ["--workdir: another process trains there; wait for it or end it"] * 5
    with leases.leased("--workdir", folder):  # it was given back
        pass


def test_the_lease_of_a_dead_process_is_taken_over(bucket, hurried, monkeypatch):
    monkeypatch.setattr(leases, "PATIENCE", 1)
    folder = open_path(f"{bucket}/dead")
    for machine, process in (("another", 1), (leases._machine(), os.getpid())):
        (folder / ".lock").write_text(json.dumps({"machine": machine, "process": process}))
        with leases.leased("--workdir", folder):
            assert json.loads((folder / ".lock").read_text())["process"] == os.getpid()
        assert not (folder / ".lock").exists()


def test_a_training_whose_lease_was_taken_is_interrupted(bucket, hurried, capsys):
    folder = open_path(f"{bucket}/halted")
    with pytest.raises(KeyboardInterrupt), leases.leased("--workdir", folder):
        (folder / ".lock").write_text("{}")
        time.sleep(60)
    assert "another process trains there since this one was halted" in capsys.readouterr().err
    assert (folder / ".lock").read_text() == "{}"


def test_a_data_set_is_copied_once_for_each_content(bucket, data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(buckets, "CACHE", tmp_path / "cache")
    address = f"{bucket}/data"
    with pytest.raises(InputError, match=f"{address}: holds no data set made_up; prepare it in a folder"):
        open_dataset(address, "made_up")
    for version in range(2):
        for path in (path for path in (data_dir / "wtal").rglob("*") if path.is_file()):
            (open_path(address) / path.relative_to(data_dir)).write_bytes(path.read_bytes())
        for _ in range(2):
            dataset = open_dataset(address, "made_up")
            assert dataset.fingerprint == open_dataset(data_dir, "made_up").fingerprint
            np.testing.assert_array_equal(dataset.test.features(1), open_dataset(data_dir, "made_up").test.features(1))
        assert capsys.readouterr().out.count("copying data set made_up") == 1, version
