"""Whatever ends a preparation leaves nothing of it, at the latest after the next one."""

import functools
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data.small import make_source
from tests.data.test_prepare import change
from tsc_jax.data.builder import prepare
from tsc_jax.data.scratch import scratch_folder
from tsc_jax.errors import InputError

ROOT = Path(__file__).resolve().parents[2]

WAIT = """
import sys, time
from pathlib import Path
from tsc_jax.data.scratch import ends_on_sigterm, scratch_folder
with ends_on_sigterm(), scratch_folder(Path(sys.argv[1])) as scratch:
    (scratch / "half").write_text("half")
    print("begun", flush=True)
    time.sleep(60)
"""


def test_sigterm_cleans_up_and_the_next_removes_what_sigkill_left(tmp_path):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        process = subprocess.Popen([sys.executable, "-c", WAIT, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "begun\n"
        with scratch_folder(tmp_path):  # leaves alone what a living process writes
            assert len(list(tmp_path.glob("*/half"))) == 1
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == code
        assert len(list(tmp_path.iterdir())) == (0 if number == signal.SIGTERM else 2)
    with scratch_folder(tmp_path) as scratch:
        assert list(tmp_path.glob("*/")) == [scratch]
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    source = change(make_source(), "test", 0, read_features=functools.partial(np.ones, (9000, 6), np.float32))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(InputError, match=r"wtal/small/1\.0\.0: cannot be written \(File too large\)"):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
            prepare(lambda: source, "small", tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
