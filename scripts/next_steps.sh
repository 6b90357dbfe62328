#!/usr/bin/env bash
# What to do once `make setup` is through.
set -euo pipefail

cat <<'END'
Penstock is set up. Next:
  make run                                             the whole stack, with a demonstration model; Ctrl-C ends it
  .venv/bin/penstock config init --provider openai   write penstock.yaml, for models of your own
  .venv/bin/penstock up --config penstock.yaml         run it
README.md has a first request; `.venv/bin/penstock --help` lists the commands.
END
