"""launch.predict finds what launch.evaluate finds, and says what is wrong in a sentence."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.training.small import predictions

ROOT = Path(__file__).resolve().parents[2]


def predict(*arguments):
    """launch.predict with the devices that the tests see."""
    command = [sys.executable, "-m", "launch.predict", *map(str, arguments)]
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "8"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_one_bad_file_does_not_stop_the_others(evaluated, test_videos, tmp_path):
    folder, outputs = tmp_path / "features", tmp_path / "out"
    folder.mkdir()
    outputs.mkdir()
    for name, features in test_videos.items():
        np.save(folder / f"{name}.npy", features)
    np.save(tmp_path / "narrow.npy", features[:, :5])
    (tmp_path / "test02.npy").write_bytes(b"another of that name")
    (tmp_path / "damaged.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "clip.mp4").write_bytes(b"a video")
    annotations = [{"label": "run", "segment": [1, 4]}, {"label": "jump", "segment": [2, 99]}]
    truth = {"test01": {"subset": "test", "annotations": annotations}}
    (tmp_path / "gt.json").write_text(json.dumps({"database": truth}))
    bad = [tmp_path / name for name in ("narrow.npy", "test02.npy", "damaged.npy", "clip.mp4", "missing.npy")]
    files = {"--output": "p.json", "--csv": "p.csv", "--report": "p.html", "--labels": "labels"}
    flags = [f"{flag}={outputs / name}" for flag, name in files.items()]
    flags += ["--checkpoint", evaluated, "--top=2", "--ground_truth", tmp_path / "gt.json"]
    done = predict(bad[0], folder, *bad[1:], *flags)

    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[-1] == "5 of 12 inputs could not be used" and len(lines) == 6
    for path, reason in zip(bad, ("width 5", "was already given", "not a whole", "width 1024", "no such"), strict=True):
        assert sum(line.startswith(f"{path}: ") and reason in line for line in lines) == 1
    assert (outputs / "p.json").read_bytes() == (evaluated / "predictions.json").read_bytes()
    assert sorted(path.name for path in outputs.iterdir()) == sorted(files.values())

    rows = list(csv.reader((outputs / "p.csv").open(newline="")))
    assert rows[0] == ["video", "label", "start", "end", "score"]
    found = {name: [] for name in test_videos}
    for name, label, *numbers in rows[1:]:
        found[name].append((label, *map(float, numbers)))
    assert found == predictions(evaluated)
    table = done.stdout.splitlines()
    assert len(table) == 3 * len(test_videos) and table[0].startswith("test00   0:12.5, best 2 of")
    assert f"{rows[1][1]}" in table[1] and f"{float(rows[1][4]):.3f}" in table[1]
    page = (outputs / "p.html").read_text()
    assert all(name in page for name in test_videos) and "<html" in page

    written = [path for path in outputs.rglob("*") if path.is_file()]
    assert {path.name for path in written if path.parent.name == "labels"} == {f"{name}.srt" for name in test_videos}
    again = {path: path.read_bytes() for path in written}
    again[outputs / "p.csv"] = b"\xef\xbb\xbf" + again[outputs / "p.csv"]
    (tmp_path / "inputs.txt").write_text(f"{folder}\n")
    assert predict(f"--inputs={tmp_path / 'inputs.txt'}", *flags, "--csv_bom").returncode == 0
    assert again == {path: path.read_bytes() for path in written}


def test_flags_that_do_not_fit_end_the_command_before_it_begins(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 16)))
    for sentence, flag in {
        "--output nowhere/p.json: its folder does not exist": "--output=nowhere/p.json",
        "--ground_truth needs --report, which shows it": "--ground_truth=gt.json",
        f"--labels {tmp_path / 'a.npy'}: cannot be written ({tmp_path / 'a.npy'}: Not a directory)": (
            f"--labels={tmp_path / 'a.npy'}"
        ),
    }.items():
        done = predict(tmp_path / "a.npy", "--checkpoint", tmp_path, flag)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{sentence}\n")


def test_ground_truth_of_other_videos_is_said(finished, test_videos, tmp_path):
    np.save(tmp_path / "mine.npy", next(iter(test_videos.values())))
    (tmp_path / "gt.json").write_text(json.dumps({"database": {"v_mine": {"subset": "x", "annotations": []}}}))
    flags = [f"--report={tmp_path / 'p.html'}", f"--ground_truth={tmp_path / 'gt.json'}", "--checkpoint", finished]
    done = predict(tmp_path / "mine.npy", *flags)
    assert (done.returncode, done.stdout) == (1, "")
    sentence = 'annotates none of the 1 videos; the first video is "mine"'
    assert done.stderr == f"--ground_truth {tmp_path / 'gt.json'}: {sentence}\n"
