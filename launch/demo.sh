#!/usr/bin/env bash
# From a fresh clone to TSC-Net as published and with a second stage, trained, evaluated and drawn: bash launch/demo.sh
# PYTHON names the interpreter to build .venv from (3.11 or newer).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source launch/venv.sh requirements.txt
python -m launch.prepare --name watch_workouts
python -m launch.train --config=configs/demo.py --workdir=runs/demo
python -m launch.train --config=configs/tscnet_best.py:demo --workdir=runs/demo_best
echo
echo "As published, and with a second stage (README.md, \"More accurate\"):"
python -m launch.evaluate --workdir=runs/demo,runs/demo_best
