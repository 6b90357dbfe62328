"""An open load: questions at a rate, whatever becomes of those before, in an order that a seed decides."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from chaos.players import question_text
from chaos.replicas import KEYS, Replica
from chaos.ways import Asked, Callers, Heard, Way


@dataclass(frozen=True)
class Answer:
    """A question, whom it was asked, and what came."""

    asked: Asked
    replica: Replica
    heard: Heard


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much of what: ``per_second`` requests, evenly spread; ``model`` is whom a question asks, by its serial.

    ``tenants`` are those who ask, ``replicas`` those who are asked, by number; nothing said: all.
    """

    requests: int
    per_second: float
    model: Callable[[int], str]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    tenants: Sequence[str] = tuple(KEYS)
    replicas: Sequence[int] = ()


@dataclass
class Crowd:
    """Asks; serials go on from one load to the next, so that each question is another."""

    callers: Callers
    replicas: Sequence[Replica]
    seed: int
    _serials: count[int] = field(default_factory=count)

    async def ask(self, load: Load) -> list[Answer]:
        """Return the answers to a load."""
        chance = random.Random(f"{self.seed}/{load.requests}/{load.per_second}")
        began = time.monotonic()
        async with asyncio.TaskGroup() as asking:
            tasks: list[asyncio.Task[Answer]] = []
            for number in range(load.requests):
                await asyncio.sleep(max(0.0, began + number / load.per_second - time.monotonic()))
                tasks.append(asking.create_task(self._ask(self._question(load, chance), self._replica(load, number))))
        return [task.result() for task in tasks]

    def _question(self, load: Load, chance: random.Random) -> Asked:
        serial = next(self._serials)
        key, way = KEYS[chance.choice(load.tenants)], chance.choice(tuple(Way))
        model, text = load.model(serial), question_text(serial)
        return Asked(serial=serial, text=text, model=model, key=key, way=way, headers=load.headers)

    def _replica(self, load: Load, number: int) -> Replica:
        chosen = [replica for replica in self.replicas if not load.replicas or replica.number in load.replicas]
        return chosen[number % len(chosen)]

    async def _ask(self, asked: Asked, replica: Replica) -> Answer:
        return Answer(asked, replica, await self.callers.ask(asked, replica))


def even(requests: float, per_second: float, model: str, **more: Any) -> Load:
    """Return a load on one model."""
    return Load(requests=int(requests), per_second=per_second, model=lambda _serial: model, **more)


def at_once(requests: int, model: str, **more: Any) -> Load:
    """Return a load that comes all at once."""
    return even(requests, 1e9, model, **more)


def percentile_ms(answers: Iterable[Answer], percent: float) -> float:
    """Return a percentile of how long they took; 0 where there are none."""
    ordered = sorted(answer.heard.seconds * 1e3 for answer in answers)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))], 1) if ordered else 0.0
