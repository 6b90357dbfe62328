"""Loops of tools with signed thinking, over a vendor who checks all that came before it: not one signature is refused."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from penstock_common.http.client import HttpClient
from penstock_common.llm.types import Candidate
from penstock_common.testing.anthropic_answers import refusal
from penstock_common.testing.openai_upstream import OpenAIUpstream
from penstock_common.testing.thinking_verifier import Bound, SignedThinker
from penstock_inference.domain.generation import NobodyHears
from penstock_inference.domain.model_facts import ModelFacts, ThinkingBound
from penstock_inference.domain.reasoning.kept import KeepingRules, KeptReasoning

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


def messages_at(server: OpenAIUpstream) -> list[list[Any]]:
    """Return the turns of each request that came, without where the cache is to end a prefix."""
    return [request.body["messages"] for request in server.requests]


def grows(turns: list[list[Any]]) -> bool:
    """Return whether each request begins with all of the one before."""
    return all(later[: len(earlier)] == earlier for earlier, later in pairwise(turns))


def outcome_of(told: Any) -> tuple[list[str], tuple[str, ...]]:
    return told.asked, told.dropped


@pytest.mark.parametrize("carries", [False, True], ids=["kept", "carried"])
async def test_what_is_sent_grows_at_its_end_alone_also_after_a_move(vendors, carries):
    conversation = Conversation(vendors.service(), "one", carries=carries)
    await conversation.run("Why?")
    conversation.ask("And then?")
    vendors.servers["a"].enqueue(KEY_REFUSED)
    while await conversation.step():
        pass
    await conversation.run("And in the end?")
    assert vendors.refusals == []
    first, second = messages_at(vendors.servers["a"]), messages_at(vendors.servers["c"])
    assert len(first) == 5
    assert len(second) == 8
    assert grows(first)
    assert grows(second)
    # What the first one thought is not told to the other, at no time; its calls are.
    assert "thinking" not in {block["type"] for turn in second[0] for block in turn["content"]}
    assert [turn for turn in second[-1] if turn["role"] == "assistant"][4]["content"][0]["type"] == "thinking"


async def test_a_model_that_nobody_has_described_is_asked_once_more_without_what_it_refuses(vendors):
    """Two accounts, and nothing is known of the model: the vendor's word is what is learnt by."""
    vendors.bind(Bound.ACCOUNT)
    missing = Missing()
    service = vendors.service(accounts=2, facts=ModelFacts(), observer=missing)
    conversation = Conversation(service, "one", carries=True)
    conversation.ask("Why?")
    assert await conversation.step()
    account = conversation.told[0].steps[0].attributes["endpoint"].rpartition("#")[2]
    vendors.servers[account].enqueue(KEY_REFUSED)
    assert await conversation.step()
    told = conversation.told[1]
    assert told.asked == ["first credentials", "first bad_request", "first answered"]
    assert (told.dropped, told.steps[-1].attributes["reasoning"]) == (("reasoning",), "refused")
    (other,) = {"a", "b"} - {account}
    bodies = [request.raw_body for request in vendors.servers[other].requests]
    assert len(set(bodies)) == len(bodies) == 2
    # From now on the same is left out, and nothing is refused any more.
    while await conversation.step():
        pass
    await conversation.run("And then?")
    assert len(vendors.refusals) == 1
    assert {told.dropped for told in conversation.told[1:]} == {("reasoning",)}
    assert grows(messages_at(vendors.servers[other])[1:])
    assert missing.noted[0] == ("first/opus", "refused")
    assert {why for _, why in missing.noted[1:]} == {"moved"}


class Missing(NobodyHears):
    """Notes who was asked without reasoning."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, str]] = []

    def reasoning_missing(self, candidate: Candidate, why: str) -> None:
        self.noted.append((str(candidate), why))


async def test_a_refusal_of_something_else_is_no_reason_to_ask_again(vendors):
    conversation = Conversation(vendors.service(), "one", carries=True)
    conversation.ask("Why?")
    assert await conversation.step()
    vendors.servers["a"].enqueue(refusal(400, "invalid_request_error", "messages.0: no"))
    assert await conversation.step()
    assert conversation.told[1].asked == ["first bad_request", "second answered"]


async def test_a_conversation_stays_with_its_model_and_its_account(vendors):
    """The plan's first is back, and two accounts are there to choose from."""
    service = vendors.service(accounts=2, facts=ACCOUNT)
    vendors.bind(Bound.ACCOUNT)
    for number in range(8):
        conversation = Conversation(service, f"loop {number}", carries=number % 2 == 0)
        await conversation.run("Why?")
        await conversation.run("And then?")
        assert len({step.attributes["endpoint"] for told in conversation.told for step in told.steps}) == 1
    reversed_service = vendors.service(accounts=2, facts=ACCOUNT, kept=service.kept)
    reversed_service.candidates.reverse()
    conversation.service = reversed_service
    await conversation.run("And in the end?")
    assert {step.attributes["upstream"] for told in conversation.told for step in told.steps} == {"first"}
    assert vendors.refusals == []


async def test_who_reads_the_thinking_is_asked_before_who_does_not(vendors):
    """Forward first: the third candidate of the plan reads what the first one thought."""
    reads = ModelFacts(thinking_bound=ThinkingBound.PREFIX, reads_thinking_of=frozenset({"opus"}))
    servers = {name: {name: vendors.servers[name]} for name in "abc"}
    vendors.thinkers["c"].reads = {"opus-next": ["opus"]}
    models = {"a": "opus", "b": "sonnet", "c": "opus-next"}
    service = Service(vendors.client, servers, models, {"a": PREFIX, "b": PREFIX, "c": reads})
    conversation = Conversation(service, "one", carries=True)
    conversation.ask("Why?")
    assert await conversation.step()
    vendors.servers["a"].enqueue(KEY_REFUSED)
    while await conversation.step():
        pass
    assert outcome_of(conversation.told[1]) == (["a credentials", "c answered"], ())
    assert conversation.told[2].asked == ["c answered"]
    assert vendors.servers["b"].requests == []
    assert vendors.refusals == []
    assert vendors.thinkers["c"].verified > 0


async def test_whoever_is_ejected_is_left_and_said_so(vendors):
    service = vendors.service()
    conversation = Conversation(service, "one", carries=True)
    conversation.ask("Why?")
    assert await conversation.step()
    service.health.eject("first", "by hand", 60, force=True)
    assert await conversation.step()
    assert outcome_of(conversation.told[1]) == (["second answered"], ("reasoning",))
    assert conversation.told[1].steps[0].attributes["passed_over"] == "first/opus by hand"
    assert conversation.told[1].steps[0].attributes["reasoning"] == "moved"
    service.health.restore("first")
    # It has thought elsewhere since.
    assert await conversation.step()
    assert conversation.told[2].asked == ["second answered"]
    assert vendors.refusals == []


async def test_what_is_no_longer_kept_is_said_to_be_lost_and_the_loop_goes_on(vendors):
    now = [0.0]
    kept = KeptReasoning(KeepingRules(seconds=60), clock=lambda: now[0])
    conversation = Conversation(vendors.service(kept=kept), "one")
    conversation.ask("Why?")
    assert await conversation.step()
    now[0] = 59
    assert await conversation.step()
    now[0] = 118
    # What is used lives on.
    assert await conversation.step()
    assert [told.dropped for told in conversation.told] == [(), (), ()]
    now[0] = 200
    assert not await conversation.step()
    assert conversation.told[-1].dropped == ("reasoning",)
    assert conversation.told[-1].steps[0].attributes["reasoning"] == "lost"
    # What is thought since is handed back, without what came before.
    conversation.ask("And then?")
    assert await conversation.step()
    before = sum(thinker.verified for thinker in vendors.thinkers.values())
    assert await conversation.step()
    assert vendors.verified > before
    assert vendors.refusals == []


async def test_a_history_that_is_no_longer_what_it_was_loses_its_thinking_before_the_vendor_says_so(vendors):
    conversation = Conversation(vendors.service(), "one")
    await conversation.run("Why?")
    conversation.messages[0]["content"] = "Why not?"
    # Its key is found by the turn before it: the second call's still stands where it did.
    conversation.ask("And then?")
    assert await conversation.step()
    assert conversation.told[-1].dropped == ("reasoning",)
    assert vendors.refusals == []


async def test_one_tenants_reasoning_is_not_anothers(vendors):
    service = vendors.service()
    conversation = Conversation(service, "one")
    conversation.ask("Why?")
    assert await conversation.step()
    conversation.tenant = "other"
    assert await conversation.step()
    assert conversation.told[1].dropped == ("reasoning",)
    assert all(
        block["type"] != "thinking" for turn in messages_at(vendors.servers["a"])[1] for block in turn["content"]
    )
