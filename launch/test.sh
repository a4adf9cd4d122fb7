#!/usr/bin/env bash
# Runs all tests: bash launch/test.sh [pytest arguments]
# PYTHON names the interpreter to build .venv from (3.11 or newer).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source launch/venv.sh tests/requirements.txt
ruff check .
ruff format --check .
python -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
