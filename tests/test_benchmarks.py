"""The benchmarks run, count what they say they count, and compare."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from benchmarks import extraction
from benchmarks.run import METHODS, line
from benchmarks.testing import INSTANCES, VIDEOS, made_up_outputs, made_up_truth, thumos_lengths
from benchmarks.training import made_up_batch, recipe, step_flops, step_seconds
from configs import thumos14
from tsc_jax import methods
from tsc_jax.method import Sizes
from tsc_jax.methods.tscnet.localize import localize
from tsc_jax.video import decode, weights

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks.run", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_flops_of_the_published_size():
    """2.63 TFLOP were counted of the published implementation."""
    config = recipe("float32")
    batch = made_up_batch(config.train, 2048, 20, devices=1)
    assert step_flops(config, Sizes(20, 2048), batch) == pytest.approx(2.63e12, rel=0.03)


def test_made_up_videos_are_like_those_of_thumos():
    lengths = thumos_lengths()
    assert (len(lengths), lengths.max()) == (VIDEOS, 2615)
    assert sorted(lengths)[VIDEOS // 2] == pytest.approx(241, rel=0.1)
    segments = localize(made_up_outputs(lengths), thumos14.get_config().proposals)
    assert len(segments) == pytest.approx(56_000, rel=0.1)
    truth = made_up_truth(lengths)
    assert len(truth) == INSTANCES
    assert (truth.end <= lengths[truth.video]).all()


def test_a_snippet_costs_what_i3d_is_known_to_cost():
    """108 billion multiplications for 64 frames (Carreira and Zisserman's network in Feichtenhofer et al., 2019)."""
    assert extraction.snippet_flops(weights.load_variables()) == pytest.approx(2 * 108e9 * 16 / 64, rel=0.03)


def test_the_video_to_decode_is_one(tmp_path):
    extraction.write_video(tmp_path / "video.mp4")
    assert len(list(decode.read_frames(tmp_path / "video.mp4"))) == 25 * extraction.SECONDS


def test_the_command_measures_writes_and_compares(tmp_path):
    output = tmp_path / "B.json"
    done = run("--only=train_step,input_pipeline", "--width=16", "--snippets=8", "--repeats=1", f"--output={output}")
    assert (done.returncode, done.stderr) == (0, "")
    content = json.loads(output.read_text())
    assert content["hardware"]["jax"] == jax.__version__
    rows = {row["name"]: row for row in content["rows"]}
    step = rows["train step, bfloat16, D 16, B 10, T 8"]
    assert step["FLOP/s"] == pytest.approx(step["FLOP"] / step["median"])
    assert line(step) in done.stdout
    assert rows["memory of train_step, at most"]["median"] > 0
    compared = run(f"--compare={output},{output}")
    assert compared.returncode == 0
    assert {text.rsplit("x ", 1)[1] for text in compared.stdout.splitlines()} == {"1.00"}
    assert len(compared.stdout.splitlines()) == len(rows)


def test_a_step_of_any_size_and_number_of_devices_has_its_time():
    assert step_seconds(16, 1, T=4, B=4, C=3, devices=2) > 0


def test_every_method_has_a_step_to_measure():
    assert set(METHODS) == set(methods.names()) - {"toy"}
    done = run("--only=facnet,acn", "--width=16", "--repeats=1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "step of facnet, D 16, B 10, T " in done.stdout and "step of acn, D 16, B 4, T " in done.stdout


def test_a_profile_is_written(tmp_path):
    assert run(f"--profile={tmp_path / 'trace'}", "--width=16", "--snippets=8").returncode == 0
    assert list((tmp_path / "trace").rglob("*.xplane.pb"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only=nothing"], "--only names nothing, expected some of train_step"),
        (["--compare=a.json"], "--compare names 1 files, expected two"),
        (["--compare=/nowhere/a.json,b.json"], "/nowhere/a.json: No such file"),
        ([f"--compare={ROOT / 'README.md'},b.json"], "README.md: not a file that --output wrote"),
    ],
)
def test_wrong_flags_are_one_sentence(arguments, message):
    done = run(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
