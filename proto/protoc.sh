#!/usr/bin/env bash
# Runs the pinned protoc over the files of this folder; google/api comes from its wheel.
#
# The generator is the oldest that callers of penstock-proto may have: generated
# Python refuses runtimes older than its generator.
set -euo pipefail

python=${PROTO_PYTHON:-3.11}

# uv looks for mirrors and certificates elsewhere than pip does: it is told pip's.
pip_setting() {
  "$python" -m pip config list 2>/dev/null | sed -n "s/^\(:env:\|global\)\.$1='\(.*\)'\$/\2/p" | head -n 1 || true
}
index=$(pip_setting index-url)
certificates=${SSL_CERT_FILE:-$(pip_setting cert)}
env ${index:+"UV_DEFAULT_INDEX=$index"} ${certificates:+"SSL_CERT_FILE=$certificates"} \
  "${UV:-uv}" tool run --quiet --python "$python" --from 'grpcio-tools==1.72.2' \
  --with 'mypy-protobuf==3.6.0' --with 'googleapis-common-protos==1.70.0' --with 'setuptools<81' \
  python -c '
import pathlib, sys, sysconfig
from grpc_tools import protoc
site = sysconfig.get_paths()["purelib"]
well_known = str(pathlib.Path(protoc.__file__).parent / "_proto")
sys.exit(protoc.main(["protoc", "-I.", f"-I{site}", f"-I{well_known}", *sys.argv[1:]]))
' "$@"
