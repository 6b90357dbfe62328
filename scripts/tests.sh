#!/usr/bin/env bash
# Run tests, and the few that failed once more, alone: a test that passes then has waited for luck. It is named and must be
# mended, but it does not hide whether the code works. More failures than RETRIED, or any other end, are final.
# Alone is without other runs of this script in this checkout, too: those that failed wait until the others have ended.
#   scripts/tests.sh go [ARGUMENT ...]        of `go test`
#   scripts/tests.sh pytest [ARGUMENT ...]    of pytest
set -uo pipefail
RETRIED=5
LOCK=$(dirname "${BASH_SOURCE[0]}")/../.venv/tests.lock
RULE="------------------------------------------------------------------------"

# locked --shared COMMAND ... runs beside others that do so, locked --exclusive COMMAND ... beside none. The command does not
# get the lock: what it leaves running would hold it.
exec 9>"$LOCK"
locked() {
  local how=$1 status
  shift
  flock "$how" 9
  "$@" 9>&-
  status=$?
  flock --unlock 9
  return $status
}

flaky() { printf '%s\nFLAKY, passed when run again:\n%s\n%s\n' "$RULE" "$1" "$RULE"; }

run_go() {
  local output failed status
  output=$(mktemp)
  trap 'rm -f "$output"' RETURN
  locked --shared go test "$@" 2>&1 | tee "$output" && return
  status=$?
  failed=$(grep -oP '^--- FAIL: \K\w+' "$output")
  if [[ -z $failed ]] || (($(wc -l <<< "$failed") > RETRIED)) || grep -qE '^panic:|^FAIL.*\[build failed\]|DATA RACE' "$output"; then
    return $status
  fi
  locked --exclusive go test -count=1 -run "^($(paste -sd '|' <<< "$failed"))\$" "$@" && flaky "$failed"
}

run_pytest() {
  local cache status failed
  cache=$(mktemp -d)
  trap 'rm -rf "$cache"' RETURN
  locked --shared pytest -o cache_dir="$cache" "$@"
  status=$?
  # 1: tests failed. All else (interrupted, a wrong argument, nothing collected) is not a matter of luck.
  ((status == 1)) || return $status
  failed=$(grep -oP '^  "\K.*(?=": true)' "$cache/v/cache/lastfailed")
  ((0 < $(grep -c . <<< "$failed") && $(grep -c . <<< "$failed") <= RETRIED)) || return 1
  locked --exclusive pytest -o cache_dir="$cache" "$@" --numprocesses 0 --last-failed --last-failed-no-failures none \
    && flaky "$failed"
}

runner=$1
shift
"run_$runner" "$@"
