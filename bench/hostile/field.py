"""Who stands around the stack: honest callers, each a process, and the attackers of one attack at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from hostile.attacks import Attack
from hostile.job import Asked, AttackJob, HonestJob
from hostile.stack import ATTACKED_MODEL, HONEST, HONEST_MODEL, KEYS, Stack

HONEST_WAYS = ("whole",) * 5 + ("stream",) * 3 + ("grpc",) * 2
_PAUSE_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0
_BENCH = Path(__file__).resolve().parent.parent


class HonestCaller:
    """One that runs; ``asked`` grows by itself."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.asked: list[Asked] = []
        self._process = process
        self._news = threading.Condition()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def wait_for_one_begun_after(self, when: float) -> None:
        """Return once a request has ended that began later than ``when``, so that all before are known."""
        with self._news:
            whole = self._news.wait_for(lambda: bool(self.asked) and self.asked[-1].began > when, 2 * _PATIENCE_SECONDS)
        if not whole:
            raise TimeoutError("an honest caller has fallen silent")

    def _read(self) -> None:
        assert self._process.stdout is not None, "it is a pipe"
        for line in self._process.stdout:
            with self._news:
                self.asked.append(msgspec.json.decode(line, type=Asked))
                self._news.notify_all()


@contextmanager
def honest_callers(target: Stack, ways: Sequence[str] = HONEST_WAYS) -> Generator[list[HonestCaller]]:
    """Yield callers that ask: each second one has a key in the database, if there are such."""
    with ExitStack() as stack:
        callers: list[HonestCaller] = []
        for number, way in enumerate(ways):
            created = target.created_keys
            key = created[number // 2 % len(created)] if created and number % 2 else KEYS[HONEST]
            job = HonestJob(
                target=target.target, key=key, model=HONEST_MODEL, way=way,
                pause_seconds=_PAUSE_SECONDS, patience_seconds=_PATIENCE_SECONDS,
            )  # fmt: skip
            callers.append(HonestCaller(stack.enter_context(_program("hostile.honest", job))))
        for caller in callers:
            caller.wait_for_one_begun_after(0.0)
        yield callers


def seen_by_attackers(target: Stack, attack: Attack, seconds: float) -> tuple[dict[str, int], float, float]:
    """Carry out an attack; return what was seen, and when it began and ended."""
    keys = tuple(KEYS[name] for name in attack.tenants)
    job = AttackJob(
        target=target.target,
        weapon=attack.weapon,
        keys=keys,
        model=ATTACKED_MODEL,
        at_once=attack.at_once,
        seconds=seconds,
    )
    with _program("hostile.attacker", job) as process:
        assert process.stdin is not None, "it is a pipe"
        assert process.stdout is not None, "it is a pipe"
        said = process.stdout.readline()
        if said != b"ready\n":
            raise ChildProcessError(f"the attackers of '{attack.name}' did not come: {said!r}")
        began = time.monotonic()
        process.stdin.write(b"go\n")
        process.stdin.flush()
        seen = msgspec.json.decode(process.stdout.readline() or b"{}", type=dict[str, int])
        return seen, began, time.monotonic()


@contextmanager
def _program(module: str, job: msgspec.Struct) -> Generator[subprocess.Popen[bytes]]:
    """Yield a program of this package that has been told its job; it ends with the context."""
    process = subprocess.Popen(
        [sys.executable, "-m", module], cwd=_BENCH, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdin is not None, "it is a pipe"
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.communicate()
