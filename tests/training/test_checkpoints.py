"""What is on disk restores exactly or not at all."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from tsc_jax.errors import InputError
from tsc_jax.training import checkpoints

TEMPLATE = {"a": np.zeros((64, 16), np.float32), "b": {"c": np.zeros(7, np.int32), "d": np.zeros((), np.uint32)}}


def tree(value: int) -> dict:
    rng = np.random.default_rng(value)
    a = rng.normal(size=(64, 16)).astype(np.float32)
    return {"a": a, "b": {"c": np.full(7, value, np.int32), "d": np.array(value, np.uint32)}}


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory):
    """A workdir with the steps 1 and 2."""
    workdir = tmp_path_factory.mktemp("run")
    manager = checkpoints.open_checkpoints(workdir, checkpoints.LAST)
    for step in (1, 2):
        checkpoints.save(manager, step, tree(step), {"config": {"a": 1}})
    checkpoints.close([manager])
    return workdir


def restore(workdir):
    """The newest undamaged state."""
    manager = checkpoints.read_checkpoints(workdir, checkpoints.LAST)

    def read(step: int):
        return checkpoints.restore(manager, step, checkpoints.read_about_of(manager, step), TEMPLATE)

    try:
        return checkpoints.newest(manager, read)
    finally:
        manager.close()


def step_of(state) -> int:
    """Which of the two steps a restored state is, bit for bit."""
    step = int(state["b"]["d"])
    np.testing.assert_array_equal(state["a"], tree(step)["a"])
    np.testing.assert_array_equal(state["b"]["c"], tree(step)["b"]["c"])
    return step


def halve(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [halve, flip, lambda content: b""])
def test_damage_of_any_file_is_told_and_the_step_before_is_used_or_it_does_not_matter(
    two_steps, tmp_path, capfd, damage
):
    """Orbax names some files at random, and not every byte matters: so all of them are damaged, one by one."""
    folder = checkpoints.folder_of(two_steps, checkpoints.LAST) / "2"
    files = [path.relative_to(two_steps) for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    assert files
    for number, file in enumerate(files):
        copy = tmp_path / str(number)
        shutil.copytree(two_steps, copy)
        (copy / file).write_bytes(damage((copy / file).read_bytes()))
        step, said = step_of(restore(copy)), capfd.readouterr().err
        assert "Traceback" not in said, file
        assert step == 2 or "step 2: damaged" in said, file


def test_damaged_numbers_and_descriptions_are_always_noticed(two_steps, tmp_path, capfd):
    for kind in ("state", "about"):
        shutil.copytree(two_steps, tmp_path / kind)
        folder = checkpoints.folder_of(tmp_path / kind, checkpoints.LAST) / "2" / kind
        for path in (path for path in folder.rglob("*") if path.is_file()):
            path.write_bytes(path.read_bytes()[:-10])
        assert step_of(restore(tmp_path / kind)) == 1
        assert "step 2: damaged" in capfd.readouterr().err


def test_damaged_arrays_are_a_sentence_each_and_no_traceback(two_steps, tmp_path):
    """TensorStore's threads answer late, in a process of their own as users have it, where nothing catches that."""
    program = """
import sys
from pathlib import Path
from tests.training.test_checkpoints import restore
for run in sorted(Path(sys.argv[1]).iterdir()):
    restore(run)
"""
    for number in range(6):
        step = checkpoints.folder_of(tmp_path / str(number), checkpoints.LAST) / "2"
        shutil.copytree(two_steps, tmp_path / str(number))
        for path in (step / "state" / "ocdbt.process_0" / "d").iterdir():
            path.write_bytes(path.read_bytes()[: 50 * number])
    command = [sys.executable, "-c", program, tmp_path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    assert len(said) == 6 and all("step 2: damaged: " in line for line in said)


def test_where_every_step_is_damaged_that_is_said(two_steps, tmp_path):
    shutil.copytree(two_steps, tmp_path / "run")
    for path in checkpoints.folder_of(tmp_path / "run", checkpoints.LAST).glob("*/about/*"):
        path.write_text(path.read_text()[:-10])
    with pytest.raises(InputError, match="every step is damaged"):
        restore(tmp_path / "run")


def test_a_step_that_a_training_run_deletes_meanwhile_is_no_damage(two_steps, tmp_path, capfd):
    shutil.copytree(two_steps, tmp_path / "run")
    folder = checkpoints.folder_of(tmp_path / "run", checkpoints.LAST)
    manager = checkpoints.read_checkpoints(tmp_path / "run", checkpoints.LAST)
    shutil.copytree(folder / "2", folder / "3")
    shutil.rmtree(folder / "2")
    shutil.rmtree(folder / "1")
    assert checkpoints.newest(manager, lambda step: (step, checkpoints.read_about_of(manager, step))[0]) == 3
    manager.close()
    assert "damaged" not in capfd.readouterr().err


def test_other_arrays_are_refused(two_steps):
    manager = checkpoints.read_checkpoints(two_steps, checkpoints.LAST)
    about = checkpoints.read_about_of(manager, 2)
    for other, told in (
        (TEMPLATE | {"a": np.zeros(3, np.float32)}, r"a is \['float32', \[64, 16\]\], this recipe needs"),
        (TEMPLATE | {"e": np.zeros(3, np.float32)}, r"e is None, this recipe needs \['float32', \[3\]\]"),
    ):
        with pytest.raises(InputError, match=told):
            checkpoints.restore(manager, 2, about, other)
    manager.close()


def test_a_full_disk_is_one_sentence_and_earlier_steps_stay(two_steps, tmp_path):
    shutil.copytree(two_steps, tmp_path / "run")
    program = """
import sys, resource
from tests.training.test_checkpoints import tree
from tsc_jax.errors import InputError
from tsc_jax.training import checkpoints
manager = checkpoints.open_checkpoints(sys.argv[1], checkpoints.LAST)
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
try:
    checkpoints.save(manager, 3, tree(3), {"config": {}})
    checkpoints.close([manager])
except InputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "run"], capture_output=True, text=True, check=False
    )
    assert "could not be saved, those before it are intact" in done.stdout, done.stderr
    assert step_of(restore(tmp_path / "run")) == 2


def test_nothing_is_made_where_there_is_no_checkpoint(tmp_path):
    assert checkpoints.read_checkpoints(tmp_path, checkpoints.LAST) is None
    assert not list(tmp_path.iterdir())
