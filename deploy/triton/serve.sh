#!/bin/sh
# Run the tritonserver of this image for others to call: serve [FLAG…]. serve --healthy asks the one that runs.
#
# With a key in $TRITON_CONTROL_KEY_FILE models are loaded and unloaded by whoever shows it, $TRITON_MODELS (names with
# spaces between) at the start; without one, every model of /models is loaded and stays.
# deploy/triton/README.md says why each flag and variable is there.
set -eu
environment=/opt/triton
site=$(echo "$environment"/lib/python3.*/site-packages)

if [ "${1:-}" = --healthy ]; then
  exec python3 -c 'import urllib.request as r; r.urlopen("http://127.0.0.1:8000/v2/health/ready", timeout=4)' 2>/dev/null
fi

control=--model-control-mode=none
if [ -n "${TRITON_CONTROL_KEY_FILE:-}" ]; then
  key=$(cat "$TRITON_CONTROL_KEY_FILE")
  control=--model-control-mode=explicit
  for model in ${TRITON_MODELS:-penstock-demo penstock-script}; do
    set -- "--load-model=$model" "$@"
  done
  set -- "--grpc-restricted-protocol=model-repository,model-config,shared-memory:penstock-control=$key" "$@"
fi

export LD_LIBRARY_PATH="$site/nvidia_pytriton.libs:$(python3 -c 'import sys; print(sys.base_prefix)')/lib"
export OPENBLAS_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
# HTTP is for the health check, and stays inside.
exec "$site/pytriton/tritonserver/bin/tritonserver" \
  --model-repository=/models --backend-directory="$environment/backends" "$control" \
  --allow-http=true --http-address=127.0.0.1 --http-port=8000 \
  --grpc-address=0.0.0.0 --grpc-port=8001 --metrics-address=0.0.0.0 --metrics-port=8002 \
  --allow-gpu-metrics=false --disable-auto-complete-config --exit-timeout-secs=5 "$@"
