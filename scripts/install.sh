#!/usr/bin/env bash
# Install what is locked, and this repository's packages: the part that `make setup` and every image share.
#
#   install.sh locked ENV LOCK [NAMES]      what LOCK pins, with its hashes; of it only what the file NAMES lists
#   install.sh packages ENV [--editable] PACKAGE…
#   install.sh edge EXECUTABLE              built by $GO, else the Go on the path
#   install.sh finish ENV                   for an image: compile, and drop what only installs
#
# ENV is an environment that `python -m venv` made. pip's own settings (mirrors, proxies, certificates) apply. Nothing
# is built that a registry offers only as source.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pip() {
  "$environment/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off --no-deps "$@"
}

with_pip() {
  pip --only-binary :all: --require-hashes --requirement "$1"
}

# pip_setting NAME: as pip's environment variables and configuration files say, the former first.
pip_setting() {
  "$environment/bin/python" -m pip config list 2>/dev/null | sed -n "s/^\(:env:\|global\)\.$1='\(.*\)'\$/\2/p" | head -n 1
}

# uv needs a thirtieth of pip's CPU time for the same files. It is told the mirror and the certificates that pip is
# set to; where it still cannot fetch, pip does.
with_uv() {
  local index certificates
  index=$(pip_setting index-url)
  certificates=${SSL_CERT_FILE:-$(pip_setting cert)}
  env ${index:+"UV_DEFAULT_INDEX=$index"} ${certificates:+"SSL_CERT_FILE=$certificates"} \
    "$environment/bin/uv" pip install --no-config --python "$environment/bin/python" --no-deps --only-binary :all: \
    --require-hashes --requirement "$1"
}

# part_of LOCK NAMES: the pins of LOCK that NAMES lists, one to a line.
part_of() {
  awk '
    FILENAME == ARGV[1] { if ($1 !~ /^#/) wanted[$1] = 1; next }
    /^[A-Za-z0-9]/ { split($0, pin, "=="); kept = pin[1] in wanted; found[pin[1]] = 1 }
    kept
    END { for (name in wanted) if (!(name in found)) { print ARGV[2] " does not pin " name > "/dev/stderr"; exit 1 } }
  ' "$2" "$1"
}

locked() {
  local lock=$1
  [[ -x $environment/bin/uv ]] || with_pip requirements/uv.txt
  if [[ -n ${2:-} ]]; then
    part=$(mktemp)
    trap 'rm -f "$part"' EXIT
    part_of "$1" "$2" >"$part"
    lock=$part
  fi
  with_uv "$lock" || with_pip "$lock"
}

packages() {
  local editable='' sources=() package
  [[ $1 != --editable ]] || { editable=yes; shift; }
  for package in "$@"; do
    sources+=(${editable:+--editable} "./$package")
  done
  pip --no-build-isolation "${sources[@]}"
}

edge() {
  local version
  version=$(sed -n 's/^version = "\(.*\)"/\1/p' services/suite/pyproject.toml)
  CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false "${GO:-go}" -C services/gateway/edge build -trimpath \
    -ldflags "-s -w -X main.version=$version" -o "$1.new" .
  mv "$1.new" "$1"
}

finish() {
  # Checked by content at no time: an image's files do not change, and their dates would make each build another.
  "$environment/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$environment/lib"
  "$environment/bin/python" -m pip uninstall --quiet --yes uv setuptools pip 2>/dev/null
  # uv's, and everybody may write it.
  rm -f "$environment/.lock"
}

command=$1
shift
case $command in
  locked | packages | finish) environment=$1; shift; "$command" "$@" ;;
  edge) edge "$1" ;;
  *) echo "install.sh: unknown command '$command'; known are locked, packages, edge and finish" >&2; exit 2 ;;
esac
