#!/usr/bin/env bash
# Every role as a container: containers.sh up|down [FLAG…], with flags of `docker compose up` or `down`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command=$1
shift

fail() {
  echo "make $command: $1 Without containers, 'make run' starts the whole stack on this machine." >&2
  exit 1
}

command -v docker >/dev/null || fail "Docker is not installed; it takes Docker 25 or newer with compose."
docker compose version >/dev/null 2>&1 || fail "this Docker has no compose: install its plugin, version 2.30 or newer."
docker info >/dev/null 2>&1 || fail "the Docker engine does not answer: is it started, and may $(id -un) use it?"

compose=(docker compose --file deploy/compose.yaml)
if [[ $command == down ]]; then
  exec "${compose[@]}" --profile '*' down "$@"
fi
scripts/secrets.sh deploy
PENSTOCK_REVISION=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
export PENSTOCK_REVISION
"${compose[@]}" up --build --detach --wait "$@"
address=$("${compose[@]}" port edge 8080)
cat <<EOF
Penstock is ready at http://$address
  KEY=\$(cat deploy/secrets/demo-key)
  curl -N http://$address/v1/chat/completions -H "Authorization: Bearer \$KEY" -H 'Content-Type: application/json' \\
    -d '{"model": "penstock-demo", "stream": true, "messages": [{"role": "user", "content": "What does the router do?"}]}'
Grafana is at http://$("${compose[@]}" port grafana 3000), as admin with deploy/secrets/grafana-password.
Traces are at http://$("${compose[@]}" port jaeger 16686).
EOF
