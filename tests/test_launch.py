"""The scripts of launch/ print the commands that they would run, and say what they miss."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = ["bash", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_pod_is_made_filled_and_trained_on():
    flags = ("wtal", "us-west4-a", "v5litepod-16", "gs://mine", "--config=configs/thumos14.py")
    lines = run("launch/tpu_pod.sh", "--dry_run", *flags).stdout.splitlines()
    text = "\n".join(lines)
    for part in ("create wtal --accelerator-type=v5litepod-16", "scp --recurse", "requirements-gcs.txt", "jax[tpu]"):
        assert part in text
    paths = "--config.data.data_dir=gs://mine/data --workdir=gs://mine/runs/wtal"
    assert f"--worker=all --command=cd tsc_jax && ../venv/bin/python -m launch.train --distributed {paths}" in text
    assert "--config=configs/thumos14.py" in text
    assert lines[-1] == "gcloud storage rsync --recursive gs://mine/runs/wtal runs/wtal"


def test_slurm_starts_one_process_for_each_gpu():
    done = run("launch/slurm.sbatch", "--dry_run", "--config=c.py", "--workdir=w", SLURM_SUBMIT_DIR=str(ROOT))
    assert done.stdout.strip().endswith("-m launch.train --distributed --config=c.py --workdir=w")


def test_processes_on_one_machine_know_each_other():
    done = run("launch/local_multiprocess.sh", "--dry_run", "2", "4", "--workdir=w", PORT="1234")
    lines = sorted(done.stdout.splitlines())
    assert [f"--process_id={i}" in line for i, line in enumerate(lines)] == [True, True]
    assert all("--coordinator=localhost:1234 --num_processes=2" in line for line in lines)


@pytest.mark.parametrize("script", ["launch/tpu_pod.sh", "launch/local_multiprocess.sh"])
def test_missing_arguments_are_one_sentence(script):
    done = run(script)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("expected ")


def test_the_jobset_starts_the_training_command():
    job = yaml.safe_load((ROOT / "launch" / "gke.yaml").read_text())
    (container,) = job["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "launch.train", "--distributed"]
