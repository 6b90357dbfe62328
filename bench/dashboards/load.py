"""A minute of everyday: two tenants, three models, features, streams, repeats that the cache has, errors and slow answers."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import aiohttp

KEYS = {"shop": "key-of-shop-key-of-shop", "support": "key-of-support-key-of-support"}
MODELS = ("small", "large", "broken")
FEATURES = ("search", "answers", "")
_WEIGHTS = (6, 3, 1)
_IN_FLIGHT = 6
_SEED = 18


def document(upstream: str, otlp: str, metrics: str) -> dict[str, Any]:
    """Return the configuration: the provider at host:port, and one that nobody serves."""
    price = {"small": (0.2, 0.8), "large": (3, 15), "broken": (1, 1)}
    models = [
        {
            "name": name, "context_window": 128_000, "capabilities": ["chat"],
            "price": {"input": price[name][0], "output": price[name][1]},
        }
        for name in MODELS
    ]  # fmt: skip
    answering = {"provider": "openai_compatible", "api_key": "sk-bench"}
    return {
        "listen": {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"},
        "upstreams": [
            {"name": "mock", "base_url": f"http://{upstream}/v1", "models": models[:2], **answering},
            {"name": "away", "base_url": "http://127.0.0.1:9/v1", "models": models[2:], **answering},
        ],
        "models": [
            {"name": "small", "candidates": ["mock/small"]},
            {"name": "large", "candidates": ["mock/large"]},
            {"name": "broken", "candidates": ["away/broken"]},
        ],
        "tenants": [
            {"name": name, "tier": {"requests_per_minute": 1_000_000}, "keys": [key]} for name, key in KEYS.items()
        ],
        "telemetry": {"otlp": otlp, "sample_ratio": 1.0, "metrics_listen": metrics},
    }


async def load(http: str, seconds: float) -> int:
    """Ask for so many seconds; return how many requests there were."""
    last, chance = time.monotonic() + seconds, random.Random(_SEED)
    async with aiohttp.ClientSession(base_url=http) as session:
        return sum(await asyncio.gather(*(_caller(session, last, chance) for _ in range(_IN_FLIGHT))))


async def _caller(session: aiohttp.ClientSession, last: float, chance: random.Random) -> int:
    asked = 0
    while time.monotonic() < last:
        (model,) = chance.choices(MODELS, _WEIGHTS)
        tenant, feature, stream = chance.choice(list(KEYS)), chance.choice(FEATURES), chance.random() < 0.7
        # One of three is a question of a few, which the cache soon has.
        number = chance.randrange(8) if chance.random() < 0.35 else chance.getrandbits(40)
        text = f"LONG question {number}" if stream else f"question {number}"
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
        headers = {"authorization": f"Bearer {KEYS[tenant]}", **({"x-penstock-feature": feature} if feature else {})}
        async with session.post("/v1/chat/completions", json=body, headers=headers) as response:
            await response.read()
        asked += 1
        await asyncio.sleep(chance.random() * 0.1)
    return asked
