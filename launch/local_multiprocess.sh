#!/usr/bin/env bash
# Trains with several processes on this machine, each with devices of its own:
#   bash launch/local_multiprocess.sh PROCESSES DEVICES_EACH FLAGS_OF_LAUNCH_TRAIN...
# --dry_run as the first argument prints the commands instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run=
if [[ ${1:-} == --dry_run ]]; then run=echo; shift; fi
if (( $# < 3 )); then
  echo "expected PROCESSES DEVICES_EACH FLAGS..., found: $*" >&2
  exit 1
fi
processes=$1 devices=$2
shift 2

port=${PORT:-$(python -c 'import socket; s = socket.socket(); s.bind(("localhost", 0)); print(s.getsockname()[1])')}
workers=()
trap 'kill -TERM "${workers[@]}" 2>/dev/null' TERM INT
for (( i = 0; i < processes; i++ )); do
  JAX_NUM_CPU_DEVICES=$devices $run python -m launch.train --distributed --coordinator="localhost:$port" \
    --num_processes="$processes" --process_id="$i" "$@" &
  workers+=($!)
done

# The first failure counts. A signal ends a wait early: then it is passed on, and the same worker waited for again.
code=0
for worker in "${workers[@]}"; do
  while
    status=0
    wait "$worker" || status=$?
    (( status > 128 )) && kill -0 "$worker" 2>/dev/null
  do :; done
  (( code )) || code=$status
done
exit "$code"
