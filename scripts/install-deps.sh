#!/usr/bin/env bash
# Installs what Warmset is built and tested with, from Debian 12's packages.
# Does nothing, and needs no network, where everything is there already.
#
# Usage: scripts/install-deps.sh [--all]
#   --all  also clang 19, for the presets asan-ubsan, thread-safety, tidy and fuzz
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache pkg-config git
  protobuf-compiler libprotobuf-dev libabsl-dev libsqlite3-dev libsimdjson-dev liburing-dev
  libxxhash-dev libzstd-dev libssl-dev zlib1g-dev libfmt-dev libspdlog-dev libcli11-dev libtomlplusplus-dev
  libgtest-dev libgmock-dev
  libonnx-testdata  # 1072 small models to test with, 21 MB
  python3 python3-venv fio
)
case "${1:-}" in
  "") ;;
  --all) packages+=(clang-19 clang-tidy-19 libclang-rt-19-dev llvm-19) ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || true
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "Installing ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "Not root, and there is no sudo. As root: apt-get install ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
