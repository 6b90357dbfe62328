"""What policies spare: 2,000 prompts through the real chooser and router, with a scripted table of quality and of load.

``make bench-routing`` prints JSON. `cost` must save 60 % of what the best model costs at 95 % of its quality, `latency` halve the
median time to the first token while whoever is asked first is busy. The router is real; models, prices, quality and load are a script.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from typing import Any

from routing_workload import FORK, LARGE, MIDDLE, QUALITY, SMALL, KnowsTheTask, Prompt, cost_usd, prompts, router

from penstock_common.contract.router import Policy
from penstock_common.llm.types import Candidate, Plan
from penstock_common.upstreams.state import UpstreamState
from penstock_router.domain.choosing import Chooser
from penstock_router.domain.routing import Router

WANTED_SAVING, WANTED_QUALITY, WANTED_SPEED = 0.6, 0.95, 0.5
IDLE_SECONDS = {LARGE: 0.4, MIDDLE: 0.35, SMALL: 0.3}
AT_ONCE = 20
"""Requests in the air, in the replay under load."""
BUSY_SECONDS = 0.05
"""What each request in the air at a model adds to the next one's first token."""


class Replay:
    """The workload, and who may be asked about it."""

    def __init__(self, count: int, seed: int) -> None:
        self.workload = prompts(count, seed)
        self._chooser = Chooser({"auto": FORK}, KnowsTheTask(self.workload), None)

    async def plan(self, made: Router, prompt: Prompt, policy: Policy | None) -> Plan:
        """Return the plan for a prompt."""
        return await self._chooser.plan(prompt.request(policy), made)

    async def spent(self, policy: Policy | None) -> dict[str, Any]:
        """Return what the workload costs in dollars, how good its answers are, and who gave how many."""
        made, cost, quality = router(), 0.0, 0.0
        asked: Counter[str] = Counter()
        began = time.perf_counter()
        for prompt in self.workload:
            first = (await self.plan(made, prompt, policy)).candidates[0]
            cost += cost_usd(first, prompt)
            quality += QUALITY[first][prompt.task]
            asked[first.upstream] += 1
        seconds = time.perf_counter() - began
        count = len(self.workload)
        return {
            "cost_usd": round(cost, 4),
            "quality": round(quality / count, 4),
            "asked": dict(asked),
            "microseconds_a_plan": round(seconds / count * 1e6, 1),
        }

    async def seconds(self, policy: Policy | None) -> float:
        """Return the median time to the first token while every model slows down with what it has in the air."""
        made, waits = router(), list[float]()
        in_air: list[Candidate] = []
        usual = dict(IDLE_SECONDS)
        for prompt in self.workload:
            made.hear({name: _state(name, seconds) for name, seconds in usual.items()})
            first = (await self.plan(made, prompt, policy)).candidates[0]
            wait = IDLE_SECONDS[first] + BUSY_SECONDS * in_air.count(first)
            waits.append(wait)
            usual[first] += (wait - usual[first]) / 4
            for name in usual.keys() - {first}:
                # Who is asked no more is soon found to have room again: hedges, and the share that explores.
                usual[name] += (IDLE_SECONDS[name] + BUSY_SECONDS * in_air.count(name) - usual[name]) / 4
            in_air = [*in_air, first][-AT_ONCE:]
        return statistics.median(waits)


def _state(name: Candidate, seconds: float) -> UpstreamState:
    return UpstreamState(candidate=name, latency_seconds=seconds, measured_seconds=1.0)


async def measured(count: int, seed: int) -> dict[str, Any]:
    """Return all figures, and whether they are as good as they must be."""
    replay = Replay(count, seed)
    spent = {policy.value: await replay.spent(policy) for policy in Policy if policy is not Policy.LATENCY}
    best = await replay.spent(None)
    saved = 1 - spent["cost"]["cost_usd"] / best["cost_usd"]
    kept = spent["cost"]["quality"] / spent["quality"]["quality"]
    p50 = {"in order": await replay.seconds(None), "latency": await replay.seconds(Policy.LATENCY)}
    speed = p50["latency"] / p50["in order"]
    return {
        "prompts": count,
        "seed": seed,
        "always_the_best": best,
        "policies": spent,
        "cost_saved_ratio": round(saved, 3),
        "cost_quality_ratio": round(kept, 3),
        "p50_first_token_seconds": {name: round(seconds, 3) for name, seconds in p50.items()},
        "latency_p50_ratio": round(speed, 3),
        "is_as_wanted": saved >= WANTED_SAVING and kept >= WANTED_QUALITY and speed <= WANTED_SPEED,
    }


def main() -> int:
    """Print the figures; return 1 where they are not as good as they must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    found = asyncio.run(measured(arguments.prompts, arguments.seed))
    print(json.dumps(found, indent=2))
    return 0 if found["is_as_wanted"] else 1


if __name__ == "__main__":
    sys.exit(main())
