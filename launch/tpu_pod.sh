#!/usr/bin/env bash
# Trains on a Cloud TPU slice of any number of hosts, made if it is not there, and fetches the results:
#   bash launch/tpu_pod.sh [--dry_run] NAME ZONE TYPE BUCKET FLAGS_OF_LAUNCH_TRAIN...
#   bash launch/tpu_pod.sh wtal us-west4-a v5litepod-16 gs://mine --config=configs/thumos14.py
# Prepared data is read from BUCKET/data; the run is in BUCKET/runs/NAME and is copied to runs/NAME here at the end.
# After a preemption give the same command again. VERSION names the runtime image.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run=
if [[ ${1:-} == --dry_run ]]; then run=echo; shift; fi
if (( $# < 5 )); then
  echo "expected NAME ZONE TYPE BUCKET FLAGS..., found: $*" >&2
  exit 1
fi
name=$1 zone=$2 type=$3 bucket=$4
shift 4
tpu() { $run gcloud compute tpus tpu-vm "$@" --zone="$zone"; }
everywhere() { tpu ssh "$name" --worker=all --command="$1"; }

if [[ -n $run ]] || ! tpu describe "$name" >/dev/null 2>&1; then
  tpu create "$name" --accelerator-type="$type" --version="${VERSION:-v2-alpha-tpuv5-lite}"
fi
everywhere "mkdir -p tsc_jax"
tpu scp --recurse ./tsc_jax ./configs ./launch ./requirements.txt ./requirements-gcs.txt "$name":tsc_jax --worker=all
everywhere "python3 -m venv venv && venv/bin/pip install -q -r tsc_jax/requirements.txt -r tsc_jax/requirements-gcs.txt 'jax[tpu]'"

code=0
everywhere "cd tsc_jax && ../venv/bin/python -m launch.train --distributed --config.data.data_dir=$bucket/data --workdir=$bucket/runs/$name $*" || code=$?
$run gcloud storage rsync --recursive "$bucket/runs/$name" "runs/$name"
exit "$code"
