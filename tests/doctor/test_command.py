"""launch.doctor from the command line: exit codes, JSON, text."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data.layouts import make_examples, save, write_joint
from tests.doctor.made_up import sound_examples, write_sound
from tsc_jax.data.builder import config_of
from tsc_jax.doctor.examine import examine
from tsc_jax.doctor.report import SHOWN, as_json, as_text

ROOT = Path(__file__).resolve().parents[2]


def doctor(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "launch.doctor", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_sound_data_set_is_described_and_passes(tmp_path):
    folder = write_sound(tmp_path / "videos")
    done = doctor("--source", folder, "--json", tmp_path / "found.json")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"{folder}: per_video layout"
    train = [each for each in sound_examples() if each.split == "train"]
    lengths = [len(each.features) for each in train]
    cells = lines[3].split()
    assert cells[:4] == ["train", "6", str(sum(lengths)), str(sum(len(each.segments) for each in train))]
    assert cells[-5:] == [str(min(lengths)), "/", f"{np.median(lengths):g}", "/", str(max(lengths))]
    assert "width 8, 2 snippets per second" in lines and "2 classes: Jump, Run" in lines
    assert lines[-1] == "no errors, no warnings, no notes: ready for launch.prepare"
    content = json.loads((tmp_path / "found.json").read_text())
    assert content["layout"] == "per_video" and content["findings"] == []
    assert content["counts"] == {"error": 0, "warning": 0, "note": 0}
    assert content["contents"]["subsets"]["train"]["snippets"] == sum(lengths)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_errors_give_exit_code_1_and_the_json_holds_all_examples(tmp_path):
    examples = sound_examples()
    for each in examples[:7]:
        each.features = np.full_like(each.features, np.nan)
    folder = write_sound(tmp_path / "videos", examples)
    save(folder / "features" / "train" / "more.npy", np.ones((3, 8)))
    done = doctor("--source", folder, "--json", tmp_path / "found.json")
    assert (done.returncode, done.stderr) == (1, "")
    assert "error    videos with features that are NaN or infinite: 7" in done.stdout
    assert done.stdout.index("error ") < done.stdout.index("warning ")
    assert "and 2 more" in done.stdout and done.stdout.count("features/train/a") == SHOWN
    assert done.stdout.endswith("1 error, 1 warning, no notes: correct the errors before launch.prepare\n")
    findings = json.loads((tmp_path / "found.json").read_text())["findings"]
    assert [(each["severity"], each["check"], each["count"]) for each in findings] == [
        ("error", "not_finite", 7),
        ("warning", "extra_files", 1),
    ]
    assert len(findings[0]["examples"]) == 7 and findings[0]["advice"]


def test_warnings_alone_pass(tmp_path):
    examples = sound_examples()
    examples[0].features = np.zeros_like(examples[0].features)
    done = doctor("--source", write_sound(tmp_path, examples))
    assert done.returncode == 0 and "no errors, 1 warning, no notes" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--source", "nowhere"], "--source nowhere: no such folder"),
        (["--source", "nowhere", "--layout", "joint"], "--source nowhere: no such folder"),
        (["--source", "launch"], "--source launch: no data set, expected *-I3D-JOINTFeatures.npy and *-Annotations"),
        (["--source", "launch", "--layout", "per_video"], "launch/gt.json: no such file"),
        ([], "flag --source=None: "),
        (["--source", ".", "--snippets_per_second", "0"], "--snippets_per_second is 0.0, expected a positive number"),
        (["--source", ".", "--json", "nowhere/found.json"], "--json nowhere/found.json: its folder does not exist"),
        (["--source", ".", "--json", "launch"], "--json launch: is a folder, expected the name of a file"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(arguments, sentence):
    done = doctor(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(sentence) and done.stderr.count("\n") == 1


def test_a_published_name_brings_its_classes(tmp_path):
    done = doctor("--source", write_joint(tmp_path, make_examples()), "--name", "thumos14")
    assert done.returncode == 1
    assert "error    labels outside the class list: 5" in done.stdout and "20 classes: BaseballPitch" in done.stdout


def test_ctrl_c_ends_it_with_one_word_and_leaves_nothing(tmp_path):
    folder = write_sound(tmp_path / "videos")
    (folder / "gt.json").unlink()
    os.mkfifo(folder / "gt.json")  # a disk so slow that reading never ends
    command = [sys.executable, "-m", "launch.doctor", "--source", folder, "--json", tmp_path / "found.json"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with (folder / "gt.json").open("w"):  # returns when the command reads
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, "", "interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["videos"]


def test_two_examinations_give_the_same_bytes(tmp_path):
    folder = write_sound(tmp_path)
    (folder / "features" / "train" / "a2.npy").unlink()
    first, second = (examine(folder, "per_video", config_of("")) for _ in range(2))
    assert (as_text(first), as_json(first)) == (as_text(second), as_json(second))
