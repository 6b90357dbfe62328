"""The attackers of one attack, in a process of their own.

Run: python -m hostile.attacker. Standard input has one job; standard output says ``ready``, and when a line has come
for it, how often what was seen.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections import Counter

import msgspec
import uvloop

from hostile import grpc_weapons, http2_weapons, http_weapons
from hostile.attacks import HELD
from hostile.job import AttackJob
from hostile.weapon import Weapon

WEAPONS = {**http_weapons.WEAPONS, **http2_weapons.WEAPONS, **grpc_weapons.WEAPONS}
_AT_ONCE_TO_CONNECT = 64
_LAST_ANSWERS_SECONDS = 5.0


class Tally:
    """How often what was seen."""

    def __init__(self, seconds: float) -> None:
        self.seen: Counter[str] = Counter()
        self._ends_at = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether nothing new is begun."""
        return time.monotonic() >= self._ends_at


async def _go_on(weapon: Weapon, key: str, tally: Tally, starting: asyncio.Semaphore) -> None:
    async with starting:
        await asyncio.sleep(0)
    while not tally.is_over:
        try:
            tally.seen.update(await weapon.strike(key))
        except asyncio.CancelledError:
            tally.seen[HELD] += 1
            raise


async def attack(job: AttackJob, weapon: Weapon) -> dict[str, int]:
    """Return what was seen."""
    tally, starting = Tally(job.seconds), asyncio.Semaphore(_AT_ONCE_TO_CONNECT)
    keys = job.keys or ("",)
    tasks = [
        asyncio.ensure_future(_go_on(weapon, keys[number % len(keys)], tally, starting))
        for number in range(job.at_once)
    ]
    lasting = 0.0 if weapon.holds_on else _LAST_ANSWERS_SECONDS
    await asyncio.wait(tasks, timeout=job.seconds + lasting)
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            tally.seen[repr(ended)] += 1
    return dict(tally.seen)


async def main() -> None:
    """Make what is sent, say so, wait for the word, attack, and tell."""
    loop = asyncio.get_running_loop()
    job = msgspec.json.decode(await loop.run_in_executor(None, sys.stdin.buffer.readline), type=AttackJob)
    weapon = WEAPONS[job.weapon](job.target, job.model)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.readline)
    seen = await attack(job, weapon)
    print(msgspec.json.encode(seen).decode(), flush=True)
    await weapon.aclose()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(main())
