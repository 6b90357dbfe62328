#!/usr/bin/env bash
# Lints proto/penstock, checks its format, and refuses changes that break JSON or
# the wire since the last commit of main (or of AGAINST, any git reference).
#
# buf would fetch google/api from its registry; an image that protoc has built
# holds the imports, so nothing is fetched.
set -euo pipefail
cd "$(dirname "$0")"

BUF="${BUF:-buf}"
protoc="$PWD/protoc.sh"
config="$PWD/buf.yaml"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# image OUTPUT: a descriptor image of penstock/** in the current folder.
image() {
  local sources
  mapfile -t sources < <(find penstock -name '*.proto' | sort)
  "$protoc" --include_imports --include_source_info --descriptor_set_out="$1" "${sources[@]}"
}

failed=0
"$BUF" format --path penstock --diff --exit-code || failed=1

image "$work/now.binpb"
"$BUF" lint "$work/now.binpb" --config "$config" --path penstock || failed=1

against="${AGAINST:-main}"
if git rev-parse --quiet --verify "$against^{commit}" >/dev/null && [ -n "$(git ls-tree "$against" penstock)" ]; then
  mkdir "$work/before"
  git archive "$against" penstock | tar -x -C "$work/before"
  (cd "$work/before" && image "$work/before.binpb")
  "$BUF" breaking "$work/now.binpb" --against "$work/before.binpb" --config "$config" --path penstock || failed=1
fi
exit "$failed"
