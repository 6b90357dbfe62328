#!/usr/bin/env bash
# Fail, with the difference, if generating from proto/ again would change what is committed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r proto tools "$work"
"$work/proto/generate.sh" >/dev/null
for generated in python/penstock go/penstock go/openapi; do
  diff --recursive --brief --exclude=__pycache__ "proto/$generated" "$work/proto/$generated" || {
    echo "proto/$generated is not what its sources say: run 'make proto'" >&2
    exit 1
  }
done
