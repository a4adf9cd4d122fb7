#!/usr/bin/env bash
# From a fresh clone to TSC-Net as published and with a second stage, trained, evaluated and drawn: bash launch/demo.sh
# PYTHON names the interpreter to build .venv from (3.11 or newer).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source launch/venv.sh requirements.txt
python -m launch.demo
