#!/usr/bin/env bash
# Makes .cache/venv/NAME with the packages of a requirements file and prints its
# path. Does nothing, and needs no network, where it is there and current.
#
# Usage: scripts/venv.sh NAME REQUIREMENTS
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }

cd "$(dirname "$0")/.."
venv=$PWD/.cache/venv/$1
requirements=$2

# Debian's Python, which every user of the machine can run, before one on PATH.
python=/usr/bin/python3
[ -x "$python" ] || python=$(command -v python3)

stamp=$("$python" --version; sha256sum <"$requirements")
if [ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ]; then
  rm -rf "$venv"
  "$python" -m venv "$venv" >&2
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2
  echo "$stamp" >"$venv/stamp"
fi
echo "$venv"
