"""Callers of a soak: so many a second, of every kind, some of whom leave; and what became of each."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp
from chaos.players import question_text

STEADY, HARD, EMBEDDING = "steady", "hard", "all-MiniLM-L6-v2"
"""A model whose upstream is well, one whose upstreams fail, and the local one."""
_MOST_AT_ONCE = 200
_LEAVING_SECONDS = 0.03
_LOST = "lost"
"""Cut, and nobody said so: what must never be."""

WEIGHTS = {"unary": 4, "stream": 4, "hit": 3, "hard unary": 2, "hard stream": 2, "leaves": 2, "leaves a stream": 2, "embeddings": 1, "job": 1}  # fmt: skip


class Crowd:
    """Asks ``per_second`` questions a second until it is told to stop."""

    def __init__(self, http: str, key: str, per_second: float, seed: int) -> None:
        """Take the edge's ``http://host:port`` and a key of the tenant's."""
        self.outcomes = Counter[str]()
        self._http, self._per_second = http, per_second
        self._headers = {"Authorization": f"Bearer {key}"}
        self._chance = random.Random(seed)
        self._serial = itertools.count(1)
        self._room = asyncio.Semaphore(_MOST_AT_ONCE)

    async def ask(self, session: aiohttp.ClientSession, until: Callable[[], bool]) -> None:
        """Ask until ``until`` says so, and return when all have ended."""
        kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
        async with asyncio.TaskGroup() as group:
            while not until():
                await self._room.acquire()
                (kind,) = self._chance.choices(kinds, weights)
                group.create_task(self._one(session, kind))
                await asyncio.sleep(self._chance.expovariate(self._per_second))

    async def _one(self, session: aiohttp.ClientSession, kind: str) -> None:
        try:
            outcome = await self._asked(session, kind)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            outcome = type(error).__name__
        finally:
            self._room.release()
        self.outcomes[f"{kind}: {outcome}"] += 1

    async def _asked(self, session: aiohttp.ClientSession, kind: str) -> str:
        serial = next(self._serial)
        if kind == "embeddings":
            body: dict[str, Any] = {"model": EMBEDDING, "input": [f"text {serial}", "another text"]}
            return await self._whole(session, "/v1/embeddings", body)
        if kind == "job":
            turn = {"role": "ROLE_USER", "parts": [{"text": question_text(serial)}]}
            body = {"chat": {"input": {"model": STEADY, "messages": [turn]}}, "options": {"resultTtl": "60s"}}
            return await self._whole(session, "/api/v1/jobs", body)
        text = "What is always asked?" if kind == "hit" else question_text(serial)
        body = {"model": HARD if kind.startswith("hard") else STEADY, "messages": [{"role": "user", "content": text}]}
        if "stream" in kind:
            return await self._stream(session, {**body, "stream": True}, leaves=kind.startswith("leaves"))
        if kind == "leaves":
            try:
                async with asyncio.timeout(_LEAVING_SECONDS):
                    return await self._whole(session, "/v1/chat/completions", body)
            except TimeoutError:
                return "left"
        return await self._whole(session, "/v1/chat/completions", body)

    async def _whole(self, session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> str:
        async with session.post(self._http + path, json=body, headers=self._headers) as response:
            await response.read()
            return str(response.status)

    async def _stream(self, session: aiohttp.ClientSession, body: dict[str, Any], *, leaves: bool) -> str:
        path = "/v1/chat/completions"
        async with session.post(self._http + path, json=body, headers=self._headers) as response:
            if response.status != 200:
                return str(response.status)
            text = b""
            async for piece in response.content.iter_any():
                text += piece
                if leaves:
                    response.close()
                    return "left"
            if b'"error"' in text:
                return "200 and told of an error"
            return "200" if b"[DONE]" in text else _LOST

    @property
    def lost(self) -> int:
        """How many answers ended before their end without a word."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.endswith(_LOST))
