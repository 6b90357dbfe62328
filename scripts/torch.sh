#!/usr/bin/env bash
# Make .torch, the environment of the extra penstock-embedding[torch] beside .venv, whose packages it sees as its own; then
# run COMMAND… with its Python: torch.sh COMMAND…
#
# torch comes from pip's index: on Linux with 3 GB of CUDA (2 minutes and 6 GB of disk, measured). TORCH_INDEX names
# another, such as https://download.pytorch.org/whl/cpu, and TORCH another requirement than 'torch'.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stamp=$( (cat requirements/torch.txt; echo "${TORCH:-torch} ${TORCH_INDEX:-}"; .venv/bin/python --version) | sha256sum)
if [[ $(cat .torch/penstock.stamp 2>/dev/null) != "$stamp" ]]; then
  echo "setup: torch in .torch …"
  .venv/bin/python -m venv --clear .torch
  install=(.torch/bin/python -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all:)
  "${install[@]}" --no-deps --require-hashes --requirement requirements/torch.txt
  "${install[@]}" ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "${TORCH:-torch>=2.6,<3}"
  beside=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  packages=$(.torch/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  echo "import site; site.addsitedir('$beside')" >"$packages/penstock-beside.pth"
  echo "$stamp" >.torch/penstock.stamp
fi
exec .torch/bin/python "$@"
