"""Loops of tools with signed thinking, over a vendor who checks all that came before it: not one signature is refused."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from penstock_common.http.client import HttpClient
from penstock_common.testing.anthropic_answers import refusal
from penstock_common.testing.openai_upstream import OpenAIUpstream
from penstock_common.testing.thinking_verifier import Bound, SignedThinker
from penstock_inference.domain.model_facts import ModelFacts, ThinkingBound
from penstock_inference.domain.reasoning.kept import KeptReasoning

sys.path.insert(0, str(Path(__file__).parent))

from thinking_loops import Conversation, Service  # noqa: E402

PREFIX, ACCOUNT = ModelFacts(thinking_bound=ThinkingBound.PREFIX), ModelFacts(thinking_bound=ThinkingBound.ACCOUNT)
KEY_REFUSED = refusal(401, "authentication_error", "invalid x-api-key")


class Vendors:
    """Two accounts of one vendor, and another vendor's."""

    def __init__(self, servers: dict[str, OpenAIUpstream], client: HttpClient) -> None:
        self.servers = servers
        self.client = client
        self.thinkers = {name: SignedThinker(account=name) for name in servers}
        for name, server in servers.items():
            server.otherwise = self.thinkers[name]

    def bind(self, bound: Bound) -> None:
        for thinker in self.thinkers.values():
            thinker.bound = bound

    def service(self, *, accounts: int = 1, facts: ModelFacts = PREFIX, **more: Any) -> Service:
        first = {name: self.servers[name] for name in ("a", "b")[:accounts]}
        upstreams = {"first": first, "second": {"c": self.servers["c"]}}
        models = {"first": "opus", "second": "sonnet"}
        return Service(self.client, upstreams, models, dict.fromkeys(upstreams, facts), **more)

    @property
    def refusals(self) -> list[str]:
        return [each for thinker in self.thinkers.values() for each in thinker.refusals]

    @property
    def verified(self) -> int:
        return sum(thinker.verified for thinker in self.thinkers.values())


@pytest.fixture
async def vendors():
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(HttpClient())
        servers = {name: await stack.enter_async_context(OpenAIUpstream()) for name in "abc"}
        yield Vendors(servers, client)


async def test_two_hundred_loops_without_one_refused_signature(vendors):
    """Streamed and whole, carried and kept; every third moves to another account, and every third to another model."""
    kept, moved = KeptReasoning(), 0
    for number in range(200):
        move = ("", "account", "model")[number % 3]
        vendors.bind(Bound.ACCOUNT if move == "account" else Bound.PREFIX)
        facts = ACCOUNT if move == "account" else PREFIX
        service = vendors.service(accounts=2 if move == "account" else 1, facts=facts, kept=kept)
        conversation = Conversation(service, f"loop {number}", streams=number % 2 == 0, carries=number % 4 < 2)
        conversation.ask(f"What of {number}?")
        assert await conversation.step()
        before = conversation.told[0].steps[0].attributes
        if move:
            account = before.get("endpoint", "#a").rpartition("#")[2]
            vendors.servers[account].enqueue(KEY_REFUSED)
        while await conversation.step():
            pass
        await conversation.run("And then?")
        dropped = [told.dropped for told in conversation.told]
        assert dropped == [()] + [("reasoning",) if move else ()] * 7
        moved += bool(move)
        if move == "model":
            assert conversation.told[1].asked == ["first credentials", "second answered"]
            assert {told.steps[-1].attributes["upstream"] for told in conversation.told[1:]} == {"second"}
    assert vendors.refusals == []
    assert moved == 133
    # Of the seven requests after the first, all hand back what was said since the conversation began, or moved.
    assert vendors.verified > 200 * 7
