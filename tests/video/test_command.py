"""Runs launch.extract as a process: good videos become a data set, bad ones one sentence each; old features stay."""

import json
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from tests.video.videos import moving, write_sound, write_video
from tsc_jax.data.clock import Clock
from tsc_jax.data.per_video import read_per_video
from tsc_jax.data.pickles import load_npy
from tsc_jax.predict import open_inputs
from tsc_jax.video.extract import SNIPPETS_PER_SECOND, WIDTH

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PARTS = {"one": 1, "two": 2}  # snippets


def start(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "launch.extract", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(*arguments: object) -> tuple[int, list[str], list[str]]:
    process = start(*arguments)
    out, err = process.communicate(timeout=600)
    return process.returncode, out.splitlines(), err.splitlines()


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Writes two videos with 5 frames more than their snippets need, and invalid files."""
    folder = tmp_path_factory.mktemp("videos")
    for seed, (name, snippets) in enumerate(PARTS.items()):
        write_video(folder / f"{name}.mp4", moving(16 * snippets + 5, (48, 64), seed), codec="mpeg4")
    write_video(folder / "short.mp4", moving(15, (48, 64), 0), codec="mpeg4")
    (folder / "broken.mp4").write_bytes((folder / "one.mp4").read_bytes()[:900])
    write_sound(folder / "sound.wav")
    (folder / "again").mkdir()
    (folder / "again" / "short.avi").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def extracted(videos, tmp_path_factory) -> Path:
    """Extracts the two videos in one call with the invalid files."""
    output = tmp_path_factory.mktemp("extracted") / "mine"
    bad = [videos / "broken.mp4", videos / "sound.wav", videos / "short.mp4"]
    code, out, err = run(bad[0], videos / "one.mp4", *bad[1:], videos / "two.mp4", f"--output={output}")
    assert code == 1
    files = {name: output / "features" / f"{name}.npy" for name in PARTS}
    assert out[:2] == [f"{files[name]}: [{snippets}, {WIDTH}]" for name, snippets in PARTS.items()]
    assert out[2:] == [
        f"next: add gt.json, split_train.txt, split_test.txt to {output}, then"
        f" python -m launch.prepare --name mine --layout per_video --source {output}"
    ]
    assert [line.split(": ")[0] for line in err[:3]] == [str(path) for path in bad]
    assert err[2].endswith("has 15 frames at 25 per second, expected at least 16, one snippet")
    assert err[3:] == ["3 of 5 videos gave no features"]
    assert {path.name for path in output.rglob("*")} == {"features", "meta.json", "one.npy", "two.npy"}
    return output


def test_the_data_set_is_read_once_it_has_annotations(extracted, tmp_path):
    for name, snippets in PARTS.items():
        features = load_npy(extracted / "features" / f"{name}.npy")
        assert (features.shape, features.dtype) == ((snippets, WIDTH), np.float32)
        assert 0.1 < features.mean() < 1 and features.min() >= 0
    annotation = {"subset": "x", "annotations": [{"label": "Run", "segment": [0, 0.5]}]}
    (extracted / "gt.json").write_text(json.dumps({"database": dict.fromkeys(PARTS, annotation)}))
    (extracted / "split_train.txt").write_text("one\n")
    (extracted / "split_test.txt").write_text("two\n")
    source = read_per_video(extracted)
    assert source.snippets_per_second == SNIPPETS_PER_SECOND
    assert source.splits["test"][0].read_features().shape == (2, WIDTH)


def test_a_second_run_restores_what_is_missing(extracted, videos):
    kept, damaged = (extracted / "features" / f"{name}.npy" for name in PARTS)
    content, time = damaged.read_bytes(), kept.stat().st_mtime_ns
    damaged.write_bytes(content[:-1])
    code, out, err = run(videos / "one.mp4", videos / "two.mp4", f"--output={extracted}")
    assert (code, err) == (0, [])
    assert out[:2] == [f"{kept}: already there", f"{damaged}: [2, {WIDTH}]"]
    assert kept.stat().st_mtime_ns == time
    assert damaged.read_bytes() == content


def test_a_video_is_an_input_of_the_prediction(extracted, videos):
    def localizer(width):
        same = {
            "check": lambda features, origin: features,
            "directory": Path("run"),
            "extractor": None,
            "clock": Clock(SNIPPETS_PER_SECOND),
        }
        return types.SimpleNamespace(width=width, snippets_per_second=SNIPPETS_PER_SECOND, **same)

    bad = [videos / "short.mp4", videos / "sound.wav"]
    inputs, failures = open_inputs([videos / "one.mp4", *bad, videos / "two.mp4"], localizer(WIDTH))
    assert [failure.split(": ")[0] for failure in failures] == [str(path) for path in bad]
    assert [each.name for each in inputs] == list(PARTS)
    for each, (name, snippets) in zip(inputs, PARTS.items(), strict=True):
        assert (each.num_snippets, each.duration) == (snippets, snippets / SNIPPETS_PER_SECOND)
        kept = load_npy(extracted / "features" / f"{name}.npy")
        np.testing.assert_allclose(each.read(), kept, rtol=1e-4, atol=1e-4)  # one device there, eight here
        pictures = each.thumbnails()
        times = [time for time, jpeg in pictures if jpeg.startswith(b"\xff\xd8")]
        assert len(times) == len(pictures) > 10
        assert times == sorted(times) and times[-1] < each.duration
    assert "run expects width 9" in open_inputs([videos / "one.mp4"], localizer(9))[1][0]


def test_conflicts_are_one_sentence(extracted, videos, tmp_path):
    one = videos / "one.mp4"
    code, out, err = run(one, f"--output={extracted}", "--dtype=bfloat16")
    assert (code, out, len(err)) == (1, [], 1)
    assert "has features of an extractor with dtype 'float32', expected 'bfloat16'" in err[0]

    (tmp_path / "features" / "train").mkdir(parents=True)
    np.save(tmp_path / "features" / "train" / "one.npy", np.ones((3, WIDTH)))
    code, out, err = run(one, f"--output={tmp_path}")
    assert (code, out, len(err)) == (1, [], 1)
    assert "has features that launch.extract did not make" in err[0]

    same = [videos / "short.mp4", videos / "again" / "short.avi"]
    code, out, err = run(*same, f"--output={tmp_path / 'none'}")
    assert (code, out, len(err)) == (1, [], 1)
    assert all(text in err[0] for text in ("short.npy", *map(str, same)))
    assert not (tmp_path / "none").exists()

    code, out, err = run(videos / "none.mp4", videos / "none.mp4", f"--output={tmp_path / 'none'}")
    assert (code, out, err[1:]) == (1, [], ["1 of 1 videos gave no features"])


def test_ctrl_c_leaves_nothing_half_written(videos, tmp_path):
    long = write_video(tmp_path / "long.mp4", moving(1600, (32, 32), 0), codec="mpeg4")
    process = start(videos / "one.mp4", long, f"--output={tmp_path / 'mine'}", "--split=test")
    assert process.stdout.readline().endswith(f"one.npy: [1, {WIDTH}]\n")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=240) == 130
    assert process.stderr.read() == "interrupted\n"
    assert os.listdir(tmp_path / "mine" / "features" / "test") == ["one.npy"]
