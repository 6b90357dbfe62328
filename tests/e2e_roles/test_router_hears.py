"""Roles that are processes of their own: the router leaves out whom inference has found out to be down, and takes it back."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from itertools import count

from penstock_common.testing.openai_upstream import Answer, Failure, OpenAIUpstream
from penstock_common.testing.otlp_collector import OtlpCollector

PATIENCE_SECONDS = 120


async def test_who_is_down_is_left_out_with_a_reason_in_the_trace_and_taken_back(
    edge, idle_fleet, upgraded, roles, upstream
):
    fleet = idle_fleet
    async with OpenAIUpstream() as standby, OtlpCollector() as collector:
        first = fleet.document["upstreams"][0]
        second = {**deepcopy(first), "name": "second", "base_url": standby.base_url}
        fleet.document["upstreams"].append(second)
        fleet.document["models"][0]["candidates"] = ["first/m1", "second/m1"]
        fleet.document["health"] = {"probe_every": "200ms", "share_every": "100ms"}
        fleet.document["router"] = {"listen_every": "100ms", "believed_for": "1m"}
        fleet.document["telemetry"] = {"otlp": collector.endpoint, "sample_ratio": 1}
        await upgraded(fleet)
        await roles(fleet)
        numbers = count()

        async def ask_until(said: str) -> str:
            """Have one question after another answered until a plan says that; return the plan's reason."""
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    status, _, _ = await fleet.ask(f"question {next(numbers)}")
                    assert status == 200
                    reasons = [span.attributes["reason"] for span in collector.spans if span.name == "router.plan"]
                    for reason in reasons[-1:]:
                        if said in str(reason):
                            return str(reason)

        assert await ask_until("first/m1 first") == "fast: first/m1 first by order"
        upstream.otherwise = lambda _: Failure(503)
        told = await ask_until("left out")
        assert told.startswith("fast: second/m1 first by order; left out first/m1 (ejected: server_error, ")
        upstream.otherwise = lambda _: Answer()
        await ask_until("first/m1 first by order")
