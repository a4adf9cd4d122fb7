"""Commands as people start them: one sentence on stderr, exit code 1, never a traceback."""

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.layouts import make_examples, write_per_video
from tsc_jax.data.dataset import open_dataset

ROOT = Path(__file__).resolve().parents[1]

COMMAND = """
import os, sys
from absl import flags
from ml_collections import config_flags
from tsc_jax import cli
from tsc_jax.errors import InputError

CONFIG = config_flags.DEFINE_config_file("config", None)
WORKDIR = flags.DEFINE_string("workdir", None, "A folder.", required=True)

def main(argv):
    if WORKDIR.value == "unwritable":
        open("/proc/nowhere", "w")
    if WORKDIR.value == "bad":
        raise InputError("the workdir is bad")
    if WORKDIR.value == "broken":
        raise KeyError("a fault of the program")
    if WORKDIR.value == "slow":
        import time
        print("begun", flush=True)
        time.sleep(60)
    if WORKDIR.value.startswith("/proc"):
        print(WORKDIR.value, CONFIG.value.data.name, os.environ.get("JAX_COMPILATION_CACHE_DIR"))
    if WORKDIR.value == "said":
        print(argv[1])
    print(CONFIG.value.train.steps if CONFIG.value else None, argv[1:])

cli.run(main, sys.argv.pop(1).split())
"""

CONFIG = """
import ml_collections
def get_config():
    return ml_collections.ConfigDict({"data": {"name": "x"}, "train": {"steps": 3}})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "command.py").write_text(COMMAND)
    (folder / "config.py").write_text(CONFIG)
    (folder / "syntax.py").write_text("def get_config(:")
    return folder


def start(folder: Path, *arguments: str, operands: str = "", output=subprocess.PIPE) -> subprocess.Popen:
    command = [sys.executable, str(folder / "command.py"), operands, *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HOME": "/proc/x"}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.PIPE, text=True)


BAD_INPUT = {
    "Unknown command line flag 'wrkdir'. Did you mean: workdir ?": ["--wrkdir=x"],
    "Flag --workdir must have a value": [],
    "--config.data.nmae=y: the config has no 'nmae'; did you mean 'name'?": [
        "--config=config.py", "--config.data.nmae=y", "--workdir=x"],
    "--config.nope.name=y: the config has no 'nope'": ["--config=config.py", "--config.nope.name=y", "--workdir=x"],
    "--config.train.steps=abc: invalid literal for int()": [
        "--config=config.py", "--config.train.steps=abc", "--workdir=x"],
    "--config=missing.py: no such file, and no recipe of that name": ["--config=missing.py", "--workdir=x"],
    "--config=syntax.py: invalid syntax": ["--config=syntax.py", "--workdir=x"],
    "found the arguments y z, expected nothing but flags": ["--workdir=x", "y", "z"],
    "the workdir is bad": ["--workdir=bad"],
    "--workdir gs://bucket/run: is an address, expected a file or folder of this machine": ["--workdir=gs://bucket/run"],
    "--config.data.name s3://b/x: is an address": ["--config=config.py", "--config.data.name=s3://b/x", "--workdir=x"],
    "/proc/nowhere: No such file or directory": ["--workdir=unwritable"],
}  # fmt: skip


def test_bad_input_is_one_sentence(folder):
    processes = {sentence: start(folder, *arguments) for sentence, arguments in BAD_INPUT.items()}
    for sentence, process in processes.items():
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 1, errors
        assert sentence in errors and errors.count("\n") == 1, errors
        assert output == ""


def test_good_input_and_faults_of_the_program_pass_through(folder):
    good = start(folder, "--config=config.py", "--config.train.steps=5", "--workdir=x", "model.pkl", operands="MODEL")
    broken = start(folder, "--workdir=broken")
    assert good.communicate(timeout=120) == ("5 ['model.pkl']\n", "")
    assert good.returncode == 0
    assert "KeyError: 'a fault of the program'" in broken.communicate(timeout=120)[1]
    assert broken.returncode == 1


def test_the_home_folder_is_meant_by_a_tilde_in_every_path(folder):
    paths = ["--workdir=~/a,~/b", "--config.data.name=~", "~/c", "d~"]
    done = start(folder, "--config=config.py", *paths, operands="FILE...").communicate(timeout=120)
    no_cache = "None"  # because it cannot be made there
    assert done == (f"/proc/x/a,/proc/x/b /proc/x {no_cache}\n3 ['/proc/x/c', 'd~']\n", "")


def test_an_output_that_cannot_be_written_is_one_sentence(folder):
    with open("/dev/full", "w") as full:
        process = start(folder, "--workdir=x", output=full)
        assert process.communicate(timeout=120)[1] == "standard output: cannot be written (No space left on device)\n"
    assert process.returncode == 1


def test_ctrl_c_ends_with_130_and_no_traceback(folder):
    # Tests that run in the background inherit that Ctrl-C is ignored; a user's command does not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start(folder, "--workdir=slow")
    signal.signal(signal.SIGINT, before)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "interrupted\n")
    assert process.returncode == 130


def prepare(*arguments: str | Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "launch.prepare", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_prepare_says_what_it_found_and_what_comes_next(tmp_path):
    source = write_per_video(tmp_path / "source", make_examples(), meta={"snippets_per_second": 0.25})
    with (source / "split_train.txt").open("a") as file:
        file.write("deleted\n")
    (source / "gt.json").write_text((source / "gt.json").read_text().replace('{"v3"', '{"deleted": {}, "v3"', 1))
    flags = ["--name", "small", "--source", source, "--data_dir", tmp_path / "d a", "--skip_missing"]
    first = prepare(*flags)
    assert (first.returncode, first.stderr) == (0, "")
    lines = first.stdout.splitlines()
    assert lines[0] == f"{tmp_path}/d a/wtal/small/1.0.0: prepared"
    assert lines[1] == "1 listed video has no features and was left out: deleted"
    assert lines[2].startswith("train  3 videos, ") and lines[2].endswith(" 5 segments")
    assert lines[3].startswith("test   2 videos, ") and lines[3].endswith(" 3 segments")
    assert lines[4:6] == ["width 6, 0.25 snippets per second", "2 classes: Jump, Run"]
    assert lines[6].startswith("warning: at 0.25 snippets per second, the snippets last ")  # of videos of 8 seconds
    assert lines[7].startswith("next: python -m launch.train --config=configs/thumos14.py --workdir=runs/small ")
    snippets = sorted(video.num_snippets for video in open_dataset(tmp_path / "d a", "small").train.videos)
    assert shlex.split(lines[7])[6:] == [
        "--config.data.name=small", "--config.eval.protocol=seconds", f"--config.train.snippets={snippets[1]}",
        f"--config.data.data_dir={tmp_path}/d a",
    ]  # fmt: skip
    second = prepare(*flags)
    assert (second.returncode, second.stderr) == (0, "")
    assert "already there (--overwrite prepares it anew)" in second.stdout.splitlines()[0]


def test_prepare_leaves_nothing_after_bad_input(tmp_path):
    source = write_per_video(tmp_path / "source", make_examples())
    (source / "features/test/w1.npy").write_bytes(b"\x93NUMPY")
    result = prepare("--name=small", "--layout=per_video", f"--source={source}", f"--data_dir={tmp_path / 'data'}")
    assert (result.returncode, result.stdout) == (1, "")
    assert "features/test/w1.npy: not a whole .npy file" in result.stderr and result.stderr.count("\n") == 1
    assert not any((tmp_path / "data").rglob("*"))


BAD_FLAGS = {
    "--name small needs --source DIR": ["--name=small"],
    "--layout was given, but watch_sessions is embedded": ["--name=watch_sessions", "--layout=joint"],
    "--snippets_per_second is -1.0, expected a positive number": ["--name=small", "--snippets_per_second=-1"],
    "--source nowhere: no such folder": ["--name=small", "--layout=joint", "--source=nowhere"],
    "--layout=jiont: value should be one of <per_video|joint>": ["--name=small", "--layout=jiont"],
}


@pytest.mark.parametrize("sentence", BAD_FLAGS)
def test_flags_of_prepare_that_do_not_fit_are_named(sentence):
    result = prepare(*BAD_FLAGS[sentence])
    assert result.returncode == 1 and sentence in result.stderr and result.stderr.count("\n") == 1


def test_a_name_that_is_no_utf8_is_printed_all_the_same(folder):
    command = [sys.executable, str(folder / "command.py"), "NAME", "--workdir=said", b"caf\xe9"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "caf\\udce9\nNone ['caf\\udce9']\n", "")


def test_a_warning_of_input_is_one_sentence_on_stderr(folder):
    (folder / "warned.py").write_text(
        "import warnings\nfrom tsc_jax import cli\nfrom tsc_jax.errors import InputWarning\n"
        "def main(argv):\n"
        "    for name in 'aab':\n"
        "        warnings.warn(InputWarning(f'{name}: is short'))\n"
        "cli.run(main)\n"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    command = [sys.executable, str(folder / "warned.py")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == [f"warning: {name}: is short" for name in "aab"]


def test_devices_that_are_not_there_are_one_sentence(folder):
    (folder / "device.py").write_text(
        "from tsc_jax import cli\n"
        "def main(argv):\n"
        "    import jax\n"
        "    print(len(jax.numpy.zeros(3)))\n"
        "    raise KeyError('a fault of the program')\n"
        "cli.run(main)\n"
    )
    for platforms in ("nonsense", "cpu"):
        environment = {"PYTHONPATH": str(ROOT), "PATH": "", "JAX_PLATFORMS": platforms}
        command = [sys.executable, str(folder / "device.py")]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        if platforms == "cpu":
            assert done.stdout == "3\n" and "KeyError: 'a fault of the program'" in done.stderr
        else:
            expected = f"JAX_PLATFORMS is {platforms!r}, but JAX finds no such devices here, only cpu; "
            assert done.stderr.startswith(expected) and done.stderr.count("\n") == 1
