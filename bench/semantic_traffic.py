"""Repetitive traffic over a suite whose upstream answers by a script, bills and takes its time, by mode of the cache."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web
from programs import Door
from semantic_questions import Asked, questions, traffic
from shapes import EDGE, HERE, ONE_PROCESS, configuration, running

MODES = ("off", "exact", "semantic")
_PRICE_NANO_USD = 40 * 1000 + 60 * 2000
"""Of an answer: 40 tokens in at 1 USD per million, 60 out at 2."""
_NUMBER = re.compile(r"\[(\d+)\]")


class Upstream:
    """Knows every question and its answer: the same for all wordings of one, and no other's."""

    def __init__(self, known: Sequence[tuple[str, ...]], seconds: float) -> None:
        self.asked = 0
        self._numbers = {text: number for number, wordings in enumerate(known) for text in wordings}
        self._seconds = seconds

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a chat completion."""
        text = (await request.json())["messages"][-1]["content"]
        number = self._numbers[text]
        self.asked += 1
        # As long as its question always takes: no chance in the comparison.
        await asyncio.sleep(self._seconds * (0.7 + 0.6 * (number % 101) / 100))
        message = {"role": "assistant", "content": f"[{number}] This is what is known about question {number}."}
        return web.json_response(
            {
                "id": f"chatcmpl-{self.asked}", "object": "chat.completion", "created": int(time.time()), "model": "bench",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 40, "completion_tokens": 60, "total_tokens": 100},
            }
        )  # fmt: skip


class Answered(NamedTuple):
    """How one request went; ``is_right`` by the script's truth."""

    seconds: float
    tier: str
    is_right: bool


async def asked_of_all(count: int, requests: int, options: Any, folder: Path) -> list[dict[str, Any]]:
    """Return a row for each mode, over the same traffic."""
    known = questions(count)
    asked = list(traffic(known, requests, options.seed))
    return [await _row(mode, known, asked, options, folder) for mode in MODES]


async def _row(
    mode: str, known: Sequence[tuple[str, ...]], asked: Sequence[Asked], options: Any, folder: Path
) -> dict[str, Any]:
    upstream = Upstream(known, options.upstream_seconds)
    application = web.Application()
    application.router.add_post("/v1/chat/completions", upstream.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    document = configuration(f"127.0.0.1:{port}") | {"cache": {"mode": mode}}
    if mode == "semantic":
        document["embedding"] = {}
    try:
        with running(HERE, ONE_PROCESS, document, folder / mode) as suite:
            door = next(door for door in suite.doors if door.name == EDGE)
            answered = await _asked(door, asked, options.in_flight)
    finally:
        await runner.cleanup()
    return _figures(mode, upstream, answered)


async def _asked(door: Door, asked: Sequence[Asked], in_flight: int) -> list[Answered]:
    waiting = iter(asked)
    answered: list[Answered] = []
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def caller() -> None:
            answered.extend([await _answered(session, door, one) for one in waiting])

        async with asyncio.TaskGroup() as callers:
            for _ in range(in_flight):
                callers.create_task(caller())
    return answered


async def _answered(session: aiohttp.ClientSession, door: Door, one: Asked) -> Answered:
    body = {"model": "bench", "messages": [{"role": "user", "content": one.text}]}
    began = time.perf_counter()
    async with session.post(f"http://{door.address}{door.path}", json=body, headers=dict(door.headers)) as response:
        answer = await response.json()
        seconds = time.perf_counter() - began
        if response.status != 200:
            raise RuntimeError(f"{one.text}: {answer}")
        told = response.headers.get("x-penstock-cache", "")
    number = _NUMBER.match(answer["choices"][0]["message"]["content"])
    found = re.match(r"hit; tier=(\w+)", told)
    return Answered(seconds, found[1] if found else "", number is not None and int(number[1]) == one.number)


def _figures(mode: str, upstream: Upstream, answered: Sequence[Answered]) -> dict[str, Any]:
    tiers = Counter(one.tier for one in answered)
    took = sorted(one.seconds for one in answered)
    return {
        "mode": mode,
        "requests": len(answered),
        "upstream_calls": upstream.asked,
        "upstream_usd": round(upstream.asked * _PRICE_NANO_USD / 1e9, 4),
        "hits": {tier: count for tier, count in sorted(tiers.items()) if tier},
        "false_hits": sum(not one.is_right for one in answered),
        "p50_ms": round(statistics.median(took) * 1e3, 2),
        "p95_ms": round(took[int(0.95 * len(took))] * 1e3, 2),
        "mean_ms": round(statistics.fmean(took) * 1e3, 2),
    }


def against_none(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with what each spares over the first, that without a cache."""
    first = rows[0]
    return [
        {
            **row,
            "fewer_upstream_calls": round(1 - row["upstream_calls"] / first["upstream_calls"], 3),
            "lower_p50": round(1 - row["p50_ms"] / first["p50_ms"], 3),
        }
        for row in rows
    ]
