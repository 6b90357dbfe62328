"""From what a rule finds to a reviewer's decision: what the caller sees, what the reviewer sees, and what goes out."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import grpc
import pytest

from penstock.gateway.v1 import review_service_pb2 as pb
from penstock_common.testing.openai_upstream import Answer

sys.path.insert(0, str(Path(__file__).parent))
from administrator import refused  # noqa: E402
from test_review_service import Caller, callers  # noqa: E402, F401 - a fixture

ANSWER = "Sell all of it to Acme Corp."
RULES = {
    "advice": {"kind": "words", "deny": ["acme corp"], "action": "review"},
    "held": {"kind": "words", "deny": ["project zeus"], "action": "review", "hold": True},
    "never": {"kind": "words", "deny": ["oracle"], "action": "refuse"},
    "watched": {"kind": "words", "deny": ["sell"], "action": "review", "shadow": True},
}


@pytest.fixture
def document(document):
    document["guardrails"] = {
        "rules": RULES,
        "pipelines": [{"models": ["fast"], "output": ["advice", "held", "never", "watched"]}],
    }
    return document


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_to_be_reviewed_goes_on_and_waits_for_a_reviewer(suite, callers, upstream, stream):  # noqa: F811
    upstream.enqueue(Answer(tokens=["Sell all of it ", "to Ac", "me Corp", "."]))
    answered = await suite.ask(stream=stream)
    assert answered.status == 200
    if not stream:
        assert answered.json["choices"][0]["message"]["content"] == ANSWER
    # The answer has not waited for it. And nothing of the rule that is in its shadow.
    async with asyncio.timeout(20):
        while not (listed := (await callers["reader"].ListReviews()).reviews):
            await asyncio.sleep(0.01)
    (item,) = listed
    assert (item.source, item.surface, item.rule) == (pb.REVIEW_SOURCE_RULE, pb.REVIEW_SURFACE_OUTPUT, "advice")
    assert (item.model, item.held, item.state) == ("fast", False, pb.REVIEW_STATE_OPEN)
    seen = await callers["reviewer"].GetReview(id=item.id, with_content=True)
    assert "Acme Corp" in seen.content.text
    (found,) = seen.content.found
    assert seen.content.text[found.start : found.end].lower() == "acme corp"


async def test_what_is_held_is_refused_with_an_id_and_goes_out_as_decided(suite, callers, upstream):  # noqa: F811
    upstream.enqueue(Answer(tokens=["Project ", "Zeus is late."]))
    answered = await suite.ask()
    (review_id,) = set(re.findall(r"rev_[0-9a-f]{32}", answered.body.decode()))
    assert "Zeus" not in answered.body.decode()
    caller, reviewer = Caller(suite.channel, suite.KEY), callers["reviewer"]
    assert (await caller.GetReviewOutcome(id=review_id)).text == ""
    claimed = (await reviewer.ClaimNextReview()).review
    assert (claimed.id, claimed.held) == (review_id, True)

    ruling = {"id": review_id, "claim": claimed.claim, "decision": pb.REVIEW_DECISION_EDIT}
    code, reason, error = await refused(reviewer.DecideReview(**ruling, edited="The Oracle is late."))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "'never'" in error.details()
    await reviewer.DecideReview(**ruling, edited="It is late.")
    outcome = await caller.GetReviewOutcome(id=review_id)
    assert (outcome.decision, outcome.text) == (pb.REVIEW_DECISION_EDIT, "It is late.")
