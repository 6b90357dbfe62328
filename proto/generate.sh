#!/usr/bin/env bash
# Generates Python and Go from proto/penstock. Run it through `make proto`.
#
# The Go plugins are the tools of go/tools/go.mod. Go gets what the edge serves
# and the packages that it imports, nothing more.
set -euo pipefail
cd "$(dirname "$0")"

GO="${GO:-go}"

mapfile -t sources < <(find penstock -name '*.proto' | sort)

rm -rf python/penstock
./protoc.sh --python_out=python --pyi_out=python --grpc_python_out=python --mypy_grpc_out=quiet:python "${sources[@]}"
# A namespace package hides typing information from type checkers, so every folder is a package.
find python/penstock -type d -exec touch {}/__init__.py \;
# Packages without services have no stubs.
find python/penstock -name '*_pb2_grpc.py' | while read -r file; do
  grep -q 'Stub(' "$file" || rm -f "$file" "${file%.py}.pyi"
done
touch python/penstock/py.typed
# For tools that have no sources: the public services and all that they need, comments included.
./protoc.sh --include_imports --include_source_info --descriptor_set_out=python/penstock/descriptors.binpb \
  $(find penstock/gateway -name '*.proto' | sort)

plugins="$PWD/build/bin"
mkdir -p "$plugins"
"$GO" -C go/tools build -o "$plugins/" tool

mapfile -t go_sources < <(find penstock/errors penstock/gateway penstock/knowledge penstock/llm -name '*.proto' | sort)
mapfile -t public_sources < <(find penstock/gateway -name '*.proto' | sort)
rm -rf go/penstock
./protoc.sh --plugin="protoc-gen-go=$plugins/protoc-gen-go" \
  --plugin="protoc-gen-go-grpc=$plugins/protoc-gen-go-grpc" \
  --go_out=go --go_opt=module=penstock.dev/proto \
  --go-grpc_out=go --go-grpc_opt=module=penstock.dev/proto \
  "${go_sources[@]}"
./protoc.sh --plugin="protoc-gen-grpc-gateway=$plugins/protoc-gen-grpc-gateway" \
  --grpc-gateway_out=go --grpc-gateway_opt=module=penstock.dev/proto \
  "${public_sources[@]}"

# The OpenAPI document: one for each file, merged, and finished with what no annotation says.
documents=build/openapi
rm -rf "$documents"
mkdir -p "$documents"
./protoc.sh --plugin="protoc-gen-openapiv3=$plugins/protoc-gen-openapiv3" --openapiv3_out="$documents" "${public_sources[@]}"
mapfile -t parts < <(find "$documents" -name '*.openapi.json' | sort)
"$plugins/openapiv3-merge" "${parts[@]}" > "$documents/merged.json"
"${PROTO_PYTHON:-python3}" ../tools/gen_openapi.py "$documents/merged.json" go/openapi/penstock.openapi.json
