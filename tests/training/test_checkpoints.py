"""What is on disk restores exactly or not at all."""

import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from tests.methods.tscnet.small import small_config, small_state
from tsc_jax.errors import InputError
from tsc_jax.training import checkpoints


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory):
    """A workdir with steps 1 and 2 of a small state, and the states."""
    workdir = tmp_path_factory.mktemp("run")
    first = small_state(small_config())
    first = first.replace(step=first.step + 1)
    second = first.replace(step=first.step + 1, params=jax.tree.map(lambda leaf: leaf + 1, first.params))
    manager = checkpoints.open_checkpoints(workdir, checkpoints.LAST)
    for state in (first, second):
        checkpoints.save(manager, state, {"config": {"a": 1}})
    checkpoints.close([manager])
    return workdir, first, second


def same(one, other) -> bool:
    return all(map(np.array_equal, *map(jax.tree.leaves, (one, other))))


def damage(folder, rng) -> str:
    """Flips one bit or cuts one file of a folder; says what it did."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    path = files[rng.integers(len(files))]
    content = bytearray(path.read_bytes())
    place = int(rng.integers(len(content)))
    if rng.random() < 0.3:
        del content[place:]
        what = f"cut {path.name} at {place}"
    else:
        content[place] ^= 1 << int(rng.integers(8))
        what = f"flipped a bit of {path.name} at {place}"
    path.write_bytes(content)
    return what


@pytest.mark.parametrize("seed", range(4))
def test_damage_is_noticed_and_the_step_before_is_used(two_steps, tmp_path, capfd, seed):
    workdir, first, second = two_steps
    rng, fell_back = np.random.default_rng(seed), 0
    for number in range(50):
        copy = tmp_path / str(number)
        shutil.copytree(workdir, copy)
        what = damage(copy / "checkpoints" / checkpoints.LAST / "2", rng)
        manager = checkpoints.open_checkpoints(copy, checkpoints.LAST)
        state = checkpoints.restore(manager, first)
        manager.close()
        said = capfd.readouterr().err
        if same(state, second):
            continue
        fell_back += 1
        assert same(state, first), what
        assert "step 2: damaged" in said and "Traceback" not in said, what
        shutil.rmtree(copy)
    assert fell_back > 10


def test_damaged_arrays_are_a_sentence_each_and_no_traceback(two_steps, tmp_path):
    """TensorStore's threads answer late, in a process of their own as users have it, where nothing catches that."""
    workdir, *_ = two_steps
    program = """
import sys
from pathlib import Path
from tests.methods.tscnet.small import small_config, small_state
from tsc_jax.training import checkpoints
template = small_state(small_config())
for run in sorted(Path(sys.argv[1]).iterdir()):
    checkpoints.restore(checkpoints.open_checkpoints(run, checkpoints.LAST), template)
"""
    for number in range(12):
        step = tmp_path / str(number) / "checkpoints" / checkpoints.LAST / "2"
        shutil.copytree(workdir, tmp_path / str(number))
        for path in (step / "state" / "ocdbt.process_0" / "d").iterdir():
            path.write_bytes(path.read_bytes()[: 50 * number])
    command = [sys.executable, "-c", program, tmp_path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    assert len(said) == 12 and all("step 2: damaged: " in line for line in said)


def test_where_every_step_is_damaged_that_is_said(two_steps, tmp_path):
    workdir, first, _ = two_steps
    shutil.copytree(workdir, tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints" / checkpoints.LAST).glob("*/about/*"):
        path.write_text(path.read_text()[:-10])
    manager = checkpoints.open_checkpoints(tmp_path / "run", checkpoints.LAST)
    with pytest.raises(InputError, match="every step is damaged"):
        checkpoints.restore(manager, first)


def test_a_state_of_another_network_is_refused(two_steps):
    workdir, first, _ = two_steps
    manager = checkpoints.open_checkpoints(workdir, checkpoints.LAST)
    wider = first.replace(batch_stats=jax.tree.map(lambda leaf: np.zeros(3, np.float32), first.batch_stats))
    with pytest.raises(InputError, match=r"batch_stats/.* is \['float32', \[16\]\], this network has"):
        checkpoints.restore(manager, wider)


def test_a_full_disk_is_one_sentence_and_earlier_steps_stay(two_steps, tmp_path):
    workdir, first, _ = two_steps
    shutil.copytree(workdir, tmp_path / "run")
    program = """
import sys, resource
from tests.methods.tscnet.small import small_config, small_state
from tsc_jax.errors import InputError
from tsc_jax.training import checkpoints
state = small_state(small_config())
manager = checkpoints.open_checkpoints(sys.argv[1], checkpoints.LAST)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    checkpoints.save(manager, state.replace(step=state.step + 3), {"config": {}})
    checkpoints.close([manager])
except InputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "run"], capture_output=True, text=True, check=False
    )
    assert "could not be saved, those before it are intact" in done.stdout, done.stderr
    manager = checkpoints.open_checkpoints(tmp_path / "run", checkpoints.LAST)
    assert int(checkpoints.restore(manager, first).step) == 2
