"""Trains TSC-Net and a second stage on the embedded recordings, and evaluates both: data/, runs/demo, runs/demo_best.

python -m launch.demo
"""

import subprocess
import sys

from tsc_jax import cli

STEPS = (
    ("prepare", "--name=watch_workouts"),
    ("train", "--config=demo", "--workdir=runs/demo"),
    ("train", "--config=tscnet_best:demo", "--workdir=runs/demo_best"),
    ("evaluate", "--workdir=runs/demo,runs/demo_best"),
)


def main(argv: list[str]) -> int:
    """Runs the command; returns the exit code of the first step that fails, else 0."""
    del argv
    for name, *arguments in STEPS:
        if name == "evaluate":
            print('\nAs published, and with a second stage (README.md, "More accurate"):', flush=True)
        code = subprocess.run([sys.executable, "-m", f"tsc_jax.launch.{name}", *arguments], check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    cli.run(main)
