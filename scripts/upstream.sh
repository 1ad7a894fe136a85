#!/usr/bin/env bash
# Runs upstream tests of loading and saving without Warmset and with the drop-in, and
# compares the results test by test. From the libraries' source packages, which it
# downloads in the versions of tests/upstream/requirements.txt; no model is downloaded.
#
# Usage: scripts/upstream.sh [--bin DIR] [SUITE...]     (build/dev/bin; every suite)
#   safetensors    the package's own tests
#   accelerate     its own tests of checkpoints, offloading and big models
#   peft           its own tests of saving and loading adapters
#   transformers   its own tests that all models share, over models of seven families
#                  (tests/upstream): the package has those of single models not
#   diffusers      operations of ours (tests/upstream): the package has no tests
# What needs the network or a GPU fails or is skipped both times.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
programs=build/dev/bin
suites=()
while [ $# -gt 0 ]; do
  case $1 in
    --bin) programs=${2:?}; shift ;;
    safetensors | accelerate | peft | transformers | diffusers) suites+=("$1") ;;
    *) usage ;;
  esac
  shift
done
[ ${#suites[@]} -gt 0 ] || suites=(safetensors accelerate peft transformers diffusers)

root=$PWD
programs=$(realpath "$programs")
venv=${UPSTREAM_VENV:-$(scripts/venv.sh upstream tests/upstream/requirements.txt)}
python=$venv/bin/python
folder=$(mktemp -d /tmp/warmset-upstream.XXXXXX)
daemon=
finish() {
  [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } || true
  rm -rf "$folder"
}
trap finish EXIT

version_of() {
  "$python" -c 'import importlib.metadata as m, sys; print(m.version(sys.argv[1]))' "$1"
}

# fetch NAME: unpacks its source package and prints the folder.
fetch() {
  local version
  version=$(version_of "$1")
  # pip asks the build backend for name and version; nothing is built, so for the one that
  # would have to be installed a stand-in answers.
  UPSTREAM_VERSION=$version PYTHONPATH=$folder/backend "$python" -m pip download --quiet \
    --disable-pip-version-check --no-deps --no-build-isolation --no-binary "$1" \
    --dest "$folder" "$1==$version" >&2
  tar -xf "$folder/$1-$version.tar.gz" -C "$folder"
  echo "$folder/$1-$version"
}
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

export WARMSET_SOCKET=$folder/socket WARMSET_HOME=$folder/home
mkdir "$folder/models"
"$programs/warmset" serve --root "$folder/models" --ram-limit 2GiB --log-level error &
daemon=$!
until "$programs/warmset" ps >/dev/null 2>&1; do
  kill -0 "$daemon" || exit 1
  sleep 0.1
done

export HF_HUB_OFFLINE=1 HF_HOME=$folder/hub CUDA_VISIBLE_DEVICES='' PYTHONDONTWRITEBYTECODE=1
export TOKENIZERS_PARALLELISM=false

# run NAME WAY ENVIRONMENT...: the suite's tests, their results sorted in $folder/NAME.WAY.
run() {
  local name=$1 way=$2
  shift 2
  # The libraries' own options ask for plugins that are not installed.
  (cd "$tests_in" && env "$@" "$python" -W ignore -m pytest -q -p no:cacheprovider \
    -o addopts= -rA --tb=no "${arguments[@]}") >"$folder/$name.$way.log" 2>&1 || true
  grep -E '^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS|SUB[A-Z]*)[ [(]' "$folder/$name.$way.log" |
    sed 's/ - .*//' | sort >"$folder/$name.$way" ||
    { tail -n 20 "$folder/$name.$way.log"; exit 1; }
}

failed=()
for suite in "${suites[@]}"; do
  tests_in=$(fetch "$suite")
  case $suite in
    safetensors)
      tests_in+=/bindings/python
      # Those of frameworks that the drop-in leaves to safetensors need the frameworks.
      arguments=(--ignore-glob='*flax*' --ignore-glob='*mlx*' --ignore-glob='*paddle*'
        --ignore-glob='*tf_*' tests) ;;
    accelerate)
      arguments=(tests/test_modeling_utils.py tests/test_state_checkpointing.py
        tests/test_offload.py tests/test_big_modeling.py tests/test_accelerator.py
        tests/test_utils.py) ;;
    peft)
      touch "$tests_in/tests/__init__.py"  # test cases import from the package "tests"
      arguments=(tests/test_custom_models.py tests/test_vera.py tests/test_randlora.py
        tests/test_shira.py tests/test_vblora.py tests/test_unilora.py tests/test_osf.py
        tests/test_frod.py tests/test_pvera.py tests/test_velora.py tests/test_bdlora.py
        -k 'save_pretrained or load_model or load_adapter or save_load or multiple_adapters') ;;
    transformers)
      # Bases that the shared tests import and the source package lacks.
      for base in exporters/test_export:ExportTesterMixin \
        generation/test_utils:GenerationTesterMixin; do
        mkdir -p "$tests_in/tests/${base%%/*}"
        echo "class ${base##*:}: pass" >"$tests_in/tests/${base%%:*}.py"
      done
      find "$tests_in/tests" -type d -exec touch {}/__init__.py \;
      arguments=(--import-mode=importlib "$root/tests/upstream/test_transformers.py"
        -k 'save or load or offload or tied or missing or mismatched or bin or keys or buffers') ;;
    diffusers)
      arguments=("$root/tests/upstream/test_diffusers.py") ;;
  esac
  run "$suite" plain WARMSET=off PYTHONPATH="$tests_in"
  run "$suite" warmset WARMSET=auto \
    PYTHONPATH="$root/python/warmset/_hook:$root/python:$root/tests/upstream:$tests_in" \
    PYTEST_PLUGINS=served
  echo "$suite $(version_of "$suite"): $(wc -l <"$folder/$suite.plain") results," \
    "$(grep -cE '^(SUB)?PASSED' "$folder/$suite.plain") passed without Warmset;" \
    "$(grep '^files that' "$folder/$suite.warmset.log")"
  if diff "$folder/$suite.plain" "$folder/$suite.warmset"; then
    echo "the same with the drop-in"
  else
    echo "with the drop-in they differ (< without, > with)"
    failed+=("$suite")
  fi
done
[ ${#failed[@]} -eq 0 ]
