#!/usr/bin/env bash
# Generates Python and Go from proto/penstock. Run it through `make proto`.
#
# The Python generator is the oldest that callers of penstock-proto may have:
# generated code refuses runtimes older than its generator.
set -euo pipefail
cd "$(dirname "$0")"

UV="${UV:-uv}"
protoc() {
  "$UV" tool run --quiet --python 3.11 --from 'grpcio-tools==1.72.2' \
    --with 'mypy-protobuf==3.6.0' --with 'googleapis-common-protos==1.70.0' --with 'setuptools<81' \
    python -c '
import pathlib, sys, sysconfig
from grpc_tools import protoc
site = sysconfig.get_paths()["purelib"]
well_known = str(pathlib.Path(protoc.__file__).parent / "_proto")
sys.exit(protoc.main(["protoc", "-I.", f"-I{site}", f"-I{well_known}", *sys.argv[1:]]))
' "$@"
}

mapfile -t sources < <(find penstock -name '*.proto' | sort)

rm -rf python/penstock
protoc --python_out=python --pyi_out=python --grpc_python_out=python --mypy_grpc_out=quiet:python "${sources[@]}"
# A namespace package hides typing information from type checkers, so every folder is a package.
find python/penstock -type d -exec touch {}/__init__.py \;
# Packages without services have no stubs.
find python/penstock -name '*_pb2_grpc.py' | while read -r file; do
  grep -q 'Stub(' "$file" || rm -f "$file" "${file%.py}.pyi"
done
touch python/penstock/py.typed
