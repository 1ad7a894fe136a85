#!/usr/bin/env bash
# Configures a preset, builds targets and runs their tests; leaves JUnit reports.
#
# Usage: scripts/run-ctest.sh PRESET REPORTS TARGET [CTEST_ARGUMENT...]
#   TARGET  what to build, as in 'all' or 'unit_tests' (blanks separate several)
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
preset=$1 reports=$2 targets=$3
shift 3

mkdir -p "$reports/programs"
reports=$(realpath "$reports")
export CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=$PWD  # a second clone compiles nothing again
cmake --preset "$preset" >/dev/null
# shellcheck disable=SC2086  # several targets
cmake --build "build/$preset" --target $targets -- --quiet
GTEST_OUTPUT="xml:$reports/programs/" ctest --test-dir "build/$preset" --output-on-failure \
  --output-junit "$reports/ctest.xml" --no-tests=error -j "$(nproc)" "$@" </dev/null
