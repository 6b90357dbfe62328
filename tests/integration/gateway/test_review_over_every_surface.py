"""One run from a rule's flag to the webhook: callers of three wire formats, reviewers by gRPC, REST and the command line."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from penstock.gateway.v1 import review_service_pb2 as pb
from penstock_common.testing.openai_upstream import Answer
from penstock_suite.app.administration import administration
from penstock_suite.surfaces.cli.reviews import reviews as review_commands

sys.path.insert(0, str(Path(__file__).parent))
from test_admin_rest import call, running_edge  # noqa: E402
from test_review_service import Caller, audited, callers, hears, sink  # noqa: E402, F401 - fixtures

ANSWER = ("We fear a ", "law", "suit of Acme.")
RULES = {"holds": {"kind": "words", "deny": ["lawsuit"], "action": "review", "hold": True}}
ROUTES = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "What is it?"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": "What is it?"}], "max_tokens": 50, "stream": True},
    "/v1/responses": {"input": "What is it?"},
}


@pytest.fixture
def document(document, sink):  # noqa: F811
    document["guardrails"] = {"rules": RULES, "pipelines": [{"models": ["fast"], "output": ["holds"]}]}
    inside = {"url": sink[0], "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "allow_private": True}
    document["webhooks"] = {"inside": {**inside, "tenants": ["demo"]}}
    document["webhook_delivery"] = {"every": "20ms", "refresh": "20ms"}
    document["reviews"] = {"webhooks": ["inside"]}
    return document


async def _flagged(suite, upstream, route):
    """Ask, and return the id of the item that the caller is told of; nothing else of the answer has left."""
    upstream.enqueue(Answer(tokens=ANSWER))
    head = {"authorization": f"Bearer {suite.KEY}"}
    answered = await suite.request("POST", route, json={"model": "fast", **ROUTES[route]}, headers=head)
    said = answered.body.decode()
    assert answered.status == 200 and "lawsuit" not in said and "Acme" not in said
    (item,) = set(re.findall(r"rev_[0-9a-f]{32}", said))
    return item


async def _by_grpc(callers, item):  # noqa: F811
    reviewer = callers["reviewer"]
    claimed = (await reviewer.ClaimReview(id=item)).review
    assert (await reviewer.GetReview(id=item, with_content=True)).content.text == "".join(ANSWER)
    await reviewer.DecideReview(id=item, claim=claimed.claim, decision=pb.REVIEW_DECISION_ALLOW)


async def _by_rest(edge, callers, item):  # noqa: F811
    key, place = callers["reviewer"].key, f"/api/v1/reviews/{item}"
    status, claimed = await call(edge, "POST", f"{place}:claim", key)
    assert status == 200
    status, seen = await call(edge, "GET", f"{place}?with_content=true", key)
    assert (status, seen["content"]["text"]) == (200, "".join(ANSWER))
    ruling = {"claim": claimed["review"]["claim"], "decision": "REVIEW_DECISION_BLOCK", "note": "never"}
    assert (await call(edge, "POST", f"{place}:decide", key, ruling))[0] == 200


async def _by_command(suite, key, *arguments):
    """Return what `penstock reviews` prints, over the gateway that runs."""
    given = [*arguments, "--json", "--address", f"127.0.0.1:{suite.gateway.grpc_port}", "--key", key]
    told = await asyncio.to_thread(CliRunner().invoke, review_commands(administration), given)
    assert told.exit_code == 0, told.output
    # The gateway, which is in this process, logs meanwhile.
    said, _ = json.JSONDecoder().raw_decode(told.stdout, told.stdout.index("{"))
    return said


async def _by_commands(suite, callers, item):  # noqa: F811
    key = callers["reviewer"].key
    claimed = await _by_command(suite, key, "claim", item)
    shown = await _by_command(suite, key, "show", item, "--content")
    assert shown["content"]["text"] == "".join(ANSWER)
    number = str(claimed["claim"])
    await _by_command(suite, key, "decide", item, "edit", "--claim", number, "--text", "We fear nothing.")


async def test_one_run_from_a_rules_flag_to_the_webhook_over_every_surface(suite, callers, upstream, sink):  # noqa: F811
    await hears(suite, ["review.decided"])
    items = [await _flagged(suite, upstream, route) for route in ROUTES]
    caller = Caller(suite.channel, suite.KEY)
    for item in items:
        assert (await caller.GetReviewOutcome(id=item)).state == pb.REVIEW_STATE_OPEN
    async with running_edge(suite) as edge:
        await _by_grpc(callers, items[0])
        await _by_rest(edge, callers, items[1])
        await _by_commands(suite, callers, items[2])
        # Whoever asked polls, by each surface.
        outcomes = [await caller.GetReviewOutcome(id=item) for item in items]
        assert [one.text for one in outcomes] == ["".join(ANSWER), "", "We fear nothing."]
        status, polled = await call(edge, "GET", f"/api/v1/reviews/{items[1]}/outcome", suite.KEY)
        assert (status, polled["decision"]) == (200, "REVIEW_DECISION_BLOCK")
        assert (await _by_command(suite, suite.KEY, "outcome", items[2]))["text"] == "We fear nothing."
    async with asyncio.timeout(30):
        while len(sink[1]) < len(items):
            await asyncio.sleep(0.01)
    told = {said["data"]["id"]: said["data"]["decision"] for _, said in sink[1]}
    assert told == dict(zip(items, ("allow", "block", "edit"), strict=True))
    assert "lawsuit" not in str(sink[1])
    looked = await audited(suite, "review.look")
    assert sorted(target for _, target in looked) == sorted(items)
