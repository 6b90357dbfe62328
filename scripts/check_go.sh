#!/usr/bin/env bash
# Fail if the edge is not formatted, or `go vet` finds something.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../services/gateway/edge"

unformatted=$("$(go env GOROOT)/bin/gofmt" -l .)
if [[ -n $unformatted ]]; then
  echo "not formatted, run 'make format': $unformatted" >&2
  exit 1
fi
go vet ./...
