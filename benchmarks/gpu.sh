#!/usr/bin/env bash
# The Triton backend on one GPU: correctness, then timings beside cuDNN.
#
# Needs only python3 with torch and triton, and the repository.
#   benchmarks/gpu.sh [FOLDER] [SECONDS]
# The full figures go to FOLDER/gpu.json (default: $OUT, else a new folder), a short table to the terminal.
set -u
cd "$(dirname "$0")/.."
folder=${1:-${OUT:-$(mktemp -d)}}
mkdir -p "$folder"
export PYTHONPATH=$PWD PYTHONSAFEPATH=1 # not the folder of the script, which has a statistics.py
nvidia-smi --query-gpu=name,driver_version,clocks.sm,memory.total --format=csv,noheader || true
timeout "${2:-150}" python3 benchmarks/gpu.py "$folder/gpu.json"
status=$?
[ $status = 124 ] && echo "stopped after ${2:-150} s: what was done is in $folder/gpu.json"
exit $status
