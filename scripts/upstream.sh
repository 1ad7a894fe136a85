#!/usr/bin/env bash
# Runs the safetensors package's own Python tests, from its source package, without
# Warmset and with the drop-in, and compares the results test by test. Downloads the
# source package of the version that the test environment has.
#
# Usage: scripts/upstream.sh [BIN_DIR]     (build/dev/bin)
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in -*) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;; esac

programs=$(realpath "${1:-build/dev/bin}")
python=$(scripts/venv.sh test tests/requirements.txt)/bin/python
folder=$(mktemp -d /tmp/warmset-upstream.XXXXXX)
daemon=
finish() {
  [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } || true
  rm -rf "$folder"
}
trap finish EXIT

# pip asks the build backend for name and version; nothing is built, so a stand-in answers.
version=$("$python" -c 'import safetensors; print(safetensors.__version__)')
mkdir -p "$folder/backend/maturin"
cat >"$folder/backend/maturin/__init__.py" <<'PYTHON'
import os, pathlib

def get_requires_for_build_wheel(settings=None):
    return []

def prepare_metadata_for_build_wheel(folder, settings=None):
    version = os.environ["UPSTREAM_VERSION"]
    info = pathlib.Path(folder, f"safetensors-{version}.dist-info")
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: safetensors\nVersion: {version}\n")
    return info.name
PYTHON
UPSTREAM_VERSION=$version PYTHONPATH=$folder/backend "$python" -m pip download --quiet \
  --disable-pip-version-check --no-deps --no-build-isolation --no-binary safetensors \
  --dest "$folder" "safetensors==$version"
tar -xf "$folder/safetensors-$version.tar.gz" -C "$folder"

export WARMSET_SOCKET=$folder/socket WARMSET_HOME=$folder/home
mkdir "$folder/models"
"$programs/warmset" serve --root "$folder/models" --ram-limit 2GiB --log-level error &
daemon=$!
until "$programs/warmset" ps >/dev/null 2>&1; do
  kill -0 "$daemon" || exit 1
  sleep 0.1
done

# Those of frameworks that the drop-in leaves to safetensors need the frameworks.
run() {  # NAME COMMAND...
  local name=$1
  shift
  (cd "$folder/safetensors-$version/bindings/python" &&
    "$@" "$python" -m pytest -q -p no:cacheprovider -rA --tb=no --ignore-glob='*flax*' \
      --ignore-glob='*mlx*' --ignore-glob='*paddle*' --ignore-glob='*tf_*' tests) \
    >"$folder/$name.log" 2>&1 || true
  grep -E '^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) ' "$folder/$name.log" |
    sed 's/ - .*//' | sort >"$folder/$name" || { tail -n 20 "$folder/$name.log"; exit 1; }
}
run plain env WARMSET=off
run warmset env PYTHONPATH="$PWD/python/warmset/_hook" WARMSET=auto

echo "safetensors $version: $(wc -l <"$folder/plain") results, $(grep -c ^PASSED "$folder/plain") passed without Warmset"
if diff "$folder/plain" "$folder/warmset"; then
  echo "the same with the drop-in"
else
  echo "with the drop-in they differ (< without, > with)"
  exit 1
fi
