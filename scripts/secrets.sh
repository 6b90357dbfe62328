#!/usr/bin/env bash
# Make what deploy/compose.yaml asks of its host, where it is missing: secrets.sh FOLDER
#
# FOLDER/secrets/*   random, their owner's alone; FOLDER/secrets/tls is filled by the service `certificates`
# FOLDER/.env        as whom the roles run: as the owner of the secrets. Root's are given to 10001, the images' user
set -euo pipefail
umask 077
folder=$1
secrets=$folder/secrets

random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# keep NAME CONTENT: write the file, once.
keep() {
  [[ -e $secrets/$1 ]] && return
  printf '%s\n' "$2" >"$secrets/$1.new"
  mv "$secrets/$1.new" "$secrets/$1"
}

mkdir -p "$secrets"
for role in edge gateway worker router cache embedding inference; do
  mkdir -p "$secrets/tls/$role"
done
for name in key-pepper cache-key knowledge-key edge-token redis-password postgres-password triton-control-key \
  grafana-password qdrant-key; do
  keep "$name" "$(random)"
done
keep demo-key "penstock-demo-$(random)"
keep operator-key "penstock-operator-$(random)"
# Redis runs as a user of its own: it gets a digest, which need not be secret, of a password that nobody can guess.
digest=$(tr -d '\n' <"$secrets/redis-password" | sha256sum | cut -d' ' -f1)
printf 'user default on sanitize-payload #%s ~* &* +@all\n' "$digest" >"$secrets/redis-users"
chmod 0644 "$secrets/redis-users"
# So does Qdrant, which knows no digests: its file is open to whoever it is mounted for, and the folder is its owner's alone.
printf 'service: {api_key: "%s"}\n' "$(tr -d '\n' <"$secrets/qdrant-key")" >"$secrets/qdrant.yaml"
chmod 0644 "$secrets/qdrant.yaml"

user=$(id -u) group=$(id -g)
if [[ $user == 0 ]]; then
  user=10001 group=10001
  chown -R "$user:$group" "$secrets"
fi
[[ -e $folder/.env ]] || printf 'PENSTOCK_UID=%s\nPENSTOCK_GID=%s\n' "$user" "$group" >"$folder/.env"
