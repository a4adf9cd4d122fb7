#!/usr/bin/env bash
# From a fresh clone to a trained, evaluated and drawn TSC-Net: bash launch/demo.sh
# PYTHON names the interpreter to build .venv from (3.11 or newer).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source launch/venv.sh requirements.txt
python -m launch.prepare --name watch_sessions
python -m launch.train --config=configs/demo.py --workdir=runs/demo
