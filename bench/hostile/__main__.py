"""Runs every attack against the running suite while ten honest callers work, each in a process of its own.

    PYTHONPATH=bench python -m hostile [--seconds S] [--only WORDS] [--output FILE] [--publish]

The stack is ``penstock up`` in one process with its edge and Redis, started once in plain and once with TLS, over two
mock providers: one for the honest, one for attackers. A quiet time stands first and last. Exit 1 where an honest request
failed, took too long, or too much memory was held (``--count-only``: but for time, which is a machine's as well).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from checkouts import commit_of
from machine import description
from programs import CHECKOUT, mock_upstream
from rounds import tell

from hostile.attacks import ATTACKS, Attack
from hostile.field import HonestCaller, honest_callers, seen_by_attackers
from hostile.figures import Row, first_faults, latencies_ms, mib, misses, table, unexpected
from hostile.stack import Stack, stack
from hostile.watch import MemoryWatch

RESULTS = CHECKOUT / "bench" / "results" / "hostile.json"
_CREATED_KEYS = 3
_QUIET = "nobody attacks"


class Battle:
    """A stack under way, and its honest callers."""

    def __init__(self, target: Stack, honest: Sequence[HonestCaller], seconds: float) -> None:
        self._target = target
        self._honest = honest
        self._seconds = seconds

    def row(self, attack: Attack | None) -> Row:
        """Return what was found of an attack, or of the time without one."""
        names = self._redis_keys()
        with MemoryWatch(self._target.pid) as watch:
            seen, began, ended = (
                self._quiet() if attack is None else seen_by_attackers(self._target, attack, self._seconds)
            )
            for caller in self._honest:
                caller.wait_for_one_begun_after(ended)
        asked = [one for caller in self._honest for one in caller.asked if one.ended >= began and one.began <= ended]
        p50, p99, most = latencies_ms(asked)
        found = Row(
            name=_QUIET if attack is None else attack.name, sent=sum(seen.values()), seen=seen,
            unexpected=unexpected(attack, seen), honest=len(asked), failed=sum(bool(one.fault) for one in asked),
            faults=first_faults(asked), p50_ms=p50, p99_ms=p99, most_ms=most, mib=mib(watch.most_together),
            proportional_mib=mib(watch.most_proportional),
            mib_by_process={name: mib(size) for name, size in watch.most.items()},
            redis_keys=self._redis_keys() - names, load_average=round(os.getloadavg()[0], 1),
        )  # fmt: skip
        tell(
            f"{found.name}: {found.seen}, p99 {found.p99_ms:.0f} ms, {found.mib:.0f} MiB {found.mib_by_process}, {found.failed} failed"
        )
        return found

    def _quiet(self) -> tuple[dict[str, int], float, float]:
        began = time.monotonic()
        time.sleep(self._seconds)
        return {}, began, time.monotonic()

    def _redis_keys(self) -> int:
        (socket,) = self._target.state.rglob("redis.sock")
        command = [str(CHECKOUT / ".venv" / "bin" / "redis-cli"), "-s", str(socket), "dbsize"]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


@contextmanager
def battle(folder: Path, seconds: float, *, over_tls: bool) -> Generator[Battle]:
    """Yield a stack and its honest callers."""
    with ExitStack() as context:
        honest, attacked = (context.enter_context(mock_upstream()).address for _ in range(2))
        target = context.enter_context(stack(folder, honest, attacked, over_tls=over_tls, created_keys=_CREATED_KEYS))
        callers = context.enter_context(honest_callers(target))
        yield Battle(target, callers, seconds)


def rows(attacks: Sequence[Attack], seconds: float) -> Iterator[Row]:
    """Yield a row of each attack, between quiet ones."""
    with tempfile.TemporaryDirectory(prefix="pb-") as folder:
        for over_tls in (False, True):
            chosen = [attack for attack in attacks if attack.over_tls is over_tls]
            if not chosen:
                continue
            with battle(Path(folder) / ("tls" if over_tls else "plain"), seconds, over_tls=over_tls) as under_way:
                yield from (under_way.row(attack) for attack in (None, *chosen, None))


def main() -> int:
    """Attack, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each attack (default: %(default)s)")
    parser.add_argument("--only", default="", help="the attacks whose names have these words")
    parser.add_argument("--count-only", action="store_true", help="judge no time")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--publish", action="store_true", help=f"write them to {RESULTS.relative_to(CHECKOUT)}")
    arguments = parser.parse_args()
    attacks = [attack for attack in ATTACKS if arguments.only in attack.name or arguments.only == attack.weapon]
    machine = description()
    found = list(rows(attacks, arguments.seconds))
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit_of(CHECKOUT),
        "machine": machine,
        "seconds": arguments.seconds,
        "rows": msgspec.to_builtins(found),
    }
    print("\n".join(table(found)))
    for output in filter(None, (arguments.output, RESULTS if arguments.publish else None)):
        output.write_text(json.dumps(report, indent=1) + "\n")
    missed = [one for one in misses(found) if not (arguments.count_only and "p99" in one)]
    print("\n".join(missed) or "as it must be")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
