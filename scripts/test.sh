#!/usr/bin/env bash
# Builds Warmset with warnings as errors and runs every test. Installs what that
# needs; a second run needs no network.
#
# Usage: scripts/test.sh [PART...]
#   unit        the rooms' tests and those of the tree
#   python      the Python package's tests and its types
#   inspect     `warmset inspect` beside the libraries that own the formats
#   e2e         the end-to-end tests with real processes; as root, a second time
#               as an unprivileged user
#   semantics   examples/semantics.py beside plain safetensors
# Without a PART, all of them. Reports go to $WARMSET_TEST_REPORTS (build/reports).
set -uo pipefail
cd "$(dirname "$0")/.."

parts=${*:-unit python inspect e2e semantics}
for part in $parts; do
  case $part in
    unit | python | inspect | e2e | semantics) ;;
    *) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
done

reports=${WARMSET_TEST_REPORTS:-build/reports}
rm -rf "$reports"
mkdir -p "$reports"
reports=$(realpath "$reports")
failed=()

# step NAME COMMAND...: runs a part to its end, whatever became of the others.
step() {
  local name=$1
  shift
  echo "== $name"
  "$@" </dev/null || { echo "-- $name failed"; failed+=("$name"); }
}

# run_pytest NAME ARGUMENT...: with the programs and packages of $tree, as $run_as.
tree=$PWD
run_as=()
run_pytest() {
  local report=$1
  shift
  (cd "$tree" && "${run_as[@]}" env PYTHONPATH="$tree/python" PYTHONDONTWRITEBYTECODE=1 \
    WARMSET_BIN_DIR="$tree/build/dev/bin" WARMSET_TEST_MODELS="$tree/.cache/models" \
    WARMSET_REAL_MODELS="$tree/.cache/real-models" \
    "$venv_python" -m pytest -q -p no:cacheprovider -o tmp_path_retention_policy=failed \
    -o faulthandler_timeout=180 \
    --junitxml="$report" "$@")
}

check_types() { (cd python && "$venv_python" -m mypy --cache-dir=../.cache/mypy); }

# As a user whom limits apply to and root's rights do not.
e2e_unprivileged() {
  local home status=0 tree=$tree venv_python=$venv_python run_as
  home=$(mktemp -d /tmp/warmset-nobody.XXXXXX)
  chmod 755 "$home"
  mkdir "$home/tmp"
  chown nobody "$home/tmp"
  run_as=(setpriv --reuid=nobody --regid=nogroup --clear-groups
    env HOME="$home/tmp" TMPDIR="$home/tmp")
  if ! "${run_as[@]}" test -r "$tree/build/dev/bin/warmset"; then
    # The checkout lies below a folder that others may not enter: hard links elsewhere.
    tree=$home/tree
    for path in python tests examples .cache/models .cache/real-models .cache/venv/test \
      build/dev/bin; do
      mkdir -p "$tree/$(dirname "$path")"
      cp -al "$path" "$tree/$path" 2>/dev/null || cp -a "$path" "$tree/$path"
    done
    venv_python=$tree/.cache/venv/test/bin/python
  fi
  run_pytest "$home/tmp/report.xml" tests/e2e || status=$?
  cp "$home/tmp/report.xml" "$reports/e2e-unprivileged.xml"
  rm -rf "$home"
  return $status
}

scripts/install-deps.sh || exit 1
venv_python=$(scripts/venv.sh test tests/requirements.txt)/bin/python || exit 1
scripts/fetch-models.sh >/dev/null && scripts/fetch-models.sh --all >/dev/null || exit 1
export CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=$PWD  # a second clone compiles nothing again
cmake --preset dev >/dev/null && cmake --build build/dev -- --quiet || exit 1

for part in $parts; do
  case $part in
    unit) step unit scripts/run-ctest.sh dev "$reports/dev" all ;;
    python)
      step types check_types
      step python run_pytest "$reports/python.xml" python/tests ;;
    inspect)
      step inspect run_pytest "$reports/inspect.xml" tests/inspect ;;
    e2e)
      step e2e run_pytest "$reports/e2e.xml" tests/e2e
      [ "$(id -u)" -ne 0 ] || step e2e-unprivileged e2e_unprivileged ;;
    semantics)
      step semantics env PYTHONPATH="$PWD/python" WARMSET_BIN_DIR="$PWD/build/dev/bin" \
        "$venv_python" examples/semantics.py ;;
  esac
done

[ ${#failed[@]} -eq 0 ] || echo "Failed: ${failed[*]}"
scripts/sum-tests.py "$reports" && [ ${#failed[@]} -eq 0 ]
