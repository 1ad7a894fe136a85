#!/usr/bin/env bash
# Puts a small real model into .cache/models, for the quick start and the tests:
# silero-vad's weights, out of its wheel on PyPI. Does nothing, and needs no
# network, where it is there already. Prints the folder.
#
# Usage: scripts/fetch-models.sh
set -euo pipefail
cd "$(dirname "$0")/.."
models=$PWD/.cache/models
name=silero-vad.safetensors

if [ ! -f "$models/$name" ]; then
  mkdir -p "$models"
  download=$(mktemp -d)
  trap 'rm -rf "$download"' EXIT
  venv=$(scripts/venv.sh quickstart scripts/quickstart-requirements.txt)
  "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
    -d "$download" silero-vad==6.2.3 >&2
  "$venv/bin/python" - "$download"/*.whl "$models/.$name" <<'PYTHON'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel, open(sys.argv[2], "wb") as out:
    out.write(wheel.read("silero_vad/data/silero_vad_16k.safetensors"))
PYTHON
  mv "$models/.$name" "$models/$name"
fi
echo "$models"
