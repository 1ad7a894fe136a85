#!/usr/bin/env bash
# Runs the residency machine's simulator (docs/design/residency.md) for many seeds, on every
# processor. A seed that fails is printed; WARMSET_SEED=<seed> tells that run step by step.
#
# Usage: scripts/simulate.sh SEEDS [FIRST]
#   SEEDS  how many; FIRST  the first one (1)
# PRESET (dev) says which build; another one under a sanitizer takes longer.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
seeds=$1 first=${2:-1} preset=${PRESET:-dev}
export CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=$PWD

cmake --preset "$preset" >/dev/null
cmake --build "build/$preset" --target place_test -- --quiet
workers=$(nproc)
each=$(((seeds + workers - 1) / workers))
pids=()
for ((i = 0; i < workers; ++i)); do
  WARMSET_FIRST_SEED=$((first + i * each)) WARMSET_SEEDS=$each \
    "build/$preset/src/place/place_test" --gtest_filter='Simulation.*' --gtest_brief=1 &
  pids+=($!)
done
status=0
for pid in "${pids[@]}"; do wait "$pid" || status=1; done
exit $status
