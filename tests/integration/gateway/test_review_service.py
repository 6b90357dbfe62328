"""ReviewService through a gateway: from a flag to the word for the webhook, by gRPC and REST, and whom it is nothing to."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path

import grpc
import pytest
from aiohttp import web

from penstock.gateway.v1 import admin_service_pb2, feedback_service_pb2, webhook_service_pb2
from penstock.gateway.v1 import review_service_pb2 as pb
from penstock.gateway.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from penstock.gateway.v1.review_service_pb2_grpc import ReviewServiceStub
from penstock.gateway.v1.webhook_service_pb2_grpc import WebhookServiceStub

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator, refused  # noqa: E402
from test_admin_rest import call, running_edge  # noqa: E402

Code = grpc.StatusCode
ALLOW, BLOCK, EDIT = pb.REVIEW_DECISION_ALLOW, pb.REVIEW_DECISION_BLOCK, pb.REVIEW_DECISION_EDIT
SCOPES = {
    "asker": ["INFERENCE"],
    "another": ["INFERENCE"],
    "reader": ["READ"],
    "reviewer": ["REVIEW"],
    "second": ["REVIEW"],
    "boss": ["REVIEW", "ADMIN"],
}


class Caller:
    """A caller of ReviewService with a key."""

    def __init__(self, channel, key):
        self._stub = ReviewServiceStub(channel)
        self.key = key
        self.metadata = (("authorization", f"Bearer {key}"),)

    def __getattr__(self, name):
        async def ask(**fields):
            request = getattr(pb, f"{name}Request")(**fields)
            return await getattr(self._stub, name)(request, metadata=self.metadata, timeout=30)

        return ask


@pytest.fixture
async def sink():
    """A receiver in this machine: what came."""
    came = []

    async def take(request):
        came.append((dict(request.headers), await request.json()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/", came
    await runner.cleanup()


@pytest.fixture
def document(document, sink):
    inside = {"url": sink[0], "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "allow_private": True}
    document["webhooks"] = {"inside": {**inside, "tenants": ["demo"]}, "theirs": {**inside, "tenants": ["other"]}}
    document["webhook_delivery"] = {"every": "20ms", "refresh": "20ms"}
    document["reviews"] = {
        "feedback_reasons": ["unsafe"],
        "max_open_per_key": 3,
        "webhooks": ["inside", "theirs"],
    }
    return document


@pytest.fixture
async def callers(suite):
    ask, made = Administrator(suite.channel, suite.OPERATOR_KEY), {}
    for name, scopes in SCOPES.items():
        numbers = [admin_service_pb2.KeyScope.Value(f"KEY_SCOPE_{scope}") for scope in scopes]
        made[name] = Caller(suite.channel, (await ask.CreateKey(tenant="demo", scopes=numbers)).secret)
    made["stranger"] = Caller(
        suite.channel, (await ask.CreateKey(tenant="other", scopes=[admin_service_pb2.KEY_SCOPE_REVIEW])).secret
    )
    made["operator"] = Caller(suite.channel, suite.OPERATOR_KEY)
    return made


async def hears(suite, events=("review.*",)):
    """Have the tenant hear of reviews; return what its webhook was sent so far."""
    stub = WebhookServiceStub(suite.channel)
    metadata = (("authorization", f"Bearer {suite.OPERATOR_KEY}"),)
    webhook = webhook_service_pb2.Webhook(
        tenant="demo", name="ops", url="https://hook.example.com/", events=list(events)
    )
    await stub.CreateWebhook(webhook_service_pb2.CreateWebhookRequest(webhook=webhook), metadata=metadata)

    async def told():
        request = webhook_service_pb2.ListWebhookDeliveriesRequest(tenant="demo", name="ops")
        listed = await stub.ListWebhookDeliveries(request, metadata=metadata)
        return [(delivery.type, delivery.id) for delivery in listed.deliveries]

    return told


async def audited(suite, *actions):
    entries = (await Administrator(suite.channel, suite.OPERATOR_KEY).ListAuditEntries(tenant="demo")).entries
    return [(entry.action, entry.target) for entry in reversed(entries) if entry.action in actions]


async def test_from_a_flag_to_the_webhook_over_grpc(suite, callers, sink):
    told = await hears(suite)
    asker, reviewer, second = callers["asker"], callers["reviewer"], callers["second"]
    opened = (await asker.OpenReview(text="The dose is 40 mg.", context="Which dose?", hold=True)).review
    assert (opened.state, opened.source, opened.held) == (pb.REVIEW_STATE_OPEN, pb.REVIEW_SOURCE_CALLER, True)
    assert (await asker.GetReviewOutcome(id=opened.id)).text == ""

    claimed = (await reviewer.ClaimNextReview()).review
    assert (claimed.id, claimed.claim, claimed.state) == (opened.id, 1, pb.REVIEW_STATE_CLAIMED)
    assert (await refused(second.ClaimReview(id=opened.id)))[:2] == (Code.ABORTED, "RESOURCE_CHANGED")
    late = second.DecideReview(id=opened.id, claim=1, decision=BLOCK)
    assert (await refused(late))[:2] == (Code.ABORTED, "RESOURCE_CHANGED")
    seen = await reviewer.GetReview(id=opened.id, with_content=True)
    assert (seen.content.text, seen.content.context) == ("The dose is 40 mg.", "Which dose?")

    ruling = {"id": opened.id, "claim": 1, "decision": EDIT, "edited": "The dose is 4 mg.", "note": "a typo"}
    decided = (await reviewer.DecideReview(**ruling)).review
    assert (decided.state, decided.decision) == (pb.REVIEW_STATE_DECIDED, EDIT)
    assert (await reviewer.DecideReview(**ruling)).review == decided
    for other in ({"edited": "Another."}, {"decision": BLOCK, "edited": ""}, {"claim": 2}):
        code, reason, _ = await refused(reviewer.DecideReview(**{**ruling, **other}))
        assert (code, reason) == (Code.FAILED_PRECONDITION, "RESOURCE_STATE")
    outcome = await asker.GetReviewOutcome(id=opened.id)
    assert (outcome.decision, outcome.text) == (EDIT, "The dose is 4 mg.")

    ((kind, message_id),) = await told()
    assert (kind, message_id.startswith(opened.id)) == ("review.decided", True)
    async with asyncio.timeout(30):
        while not sink[1]:
            await asyncio.sleep(0.01)
    ((headers, said),) = sink[1]
    assert (said["type"], said["data"]["id"], said["data"]["decision"]) == ("review.decided", opened.id, "edit")
    assert headers["webhook-id"].startswith(opened.id)
    assert "dose" not in str(said)
    actions = await audited(suite, "review.claim", "review.look", "review.decide")
    # The one that came too late wanted to, and was refused.
    assert actions == [(f"review.{what}", opened.id) for what in ("claim", "decide", "decide", "look", "decide")]
    exported = (await reviewer.ExportReviews()).reviews
    assert [(one.review.id, one.content.edited) for one in exported] == [(opened.id, "The dose is 4 mg.")]
    assert len(await audited(suite, "review.export")) == 1


async def test_from_a_flag_to_the_webhook_over_rest(suite, callers):
    told = await hears(suite, ["review.decided"])
    asker, reviewer = callers["asker"].key, callers["reviewer"].key
    async with running_edge(suite) as edge:
        body = {"text": "The dose is 40 mg.", "hold": True, "surface": "REVIEW_SURFACE_OUTPUT"}
        status, opened = await call(edge, "POST", "/api/v1/reviews", asker, body)
        place = f"/api/v1/reviews/{opened['review']['id']}"
        assert (status, opened["review"]["state"]) == (200, "REVIEW_STATE_OPEN")
        status, listed = await call(edge, "GET", "/api/v1/reviews?source=REVIEW_SOURCE_CALLER", reviewer)
        assert (status, len(listed["reviews"]), "content" in listed["reviews"][0]) == (200, 1, False)
        status, claimed = await call(edge, "POST", "/api/v1/reviews:claim", reviewer, {"lease": "60s"})
        assert (status, claimed["review"]["claim"]) == (200, 1)
        assert (await call(edge, "POST", f"{place}:claim", callers["second"].key))[0] == 409
        status, seen = await call(edge, "GET", f"{place}?with_content=true", reviewer)
        assert (status, seen["content"]["text"]) == (200, "The dose is 40 mg.")
        ruling = {"claim": 1, "decision": "REVIEW_DECISION_ALLOW"}
        status, decided = await call(edge, "POST", f"{place}:decide", reviewer, ruling)
        assert (status, decided["review"]["decision"]) == (200, "REVIEW_DECISION_ALLOW")
        status, outcome = await call(edge, "GET", f"{place}/outcome", asker)
        assert (status, outcome["text"]) == (200, "The dose is 40 mg.")
        status, error = await call(edge, "POST", f"{place}:release", reviewer, {"claim": 1})
        assert (status, error["details"][0]["reason"]) == (400, "RESOURCE_STATE"), error
        status, exported = await call(edge, "POST", "/api/v1/reviews:export", reviewer)
        assert (status, exported["reviews"][0]["content"]["text"]) == (200, "The dose is 40 mg.")
        assert (await call(edge, "GET", f"{place}/outcome", callers["another"].key))[0] == 404
    assert [kind for kind, _ in await told()] == ["review.decided"]


async def test_what_is_not_ones_own_is_not_there_and_what_it_holds_is_for_reviewers(suite, callers, tmp_path):
    asker = callers["asker"]
    opened = (await asker.OpenReview(text="canary")).review
    for call_ in (
        callers["stranger"].GetReview(id=opened.id),
        callers["stranger"].ClaimReview(id=opened.id),
        callers["stranger"].DecideReview(id=opened.id, claim=1, decision=BLOCK),
        callers["stranger"].GetReviewOutcome(id=opened.id),
        callers["another"].GetReviewOutcome(id=opened.id),
        callers["stranger"].ClaimNextReview(),
        callers["reviewer"].GetReview(id="rev_none"),
    ):
        assert (await refused(call_))[:2] == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")
    reader = callers["reader"]
    assert (await reader.GetReview(id=opened.id)).review.state == pb.REVIEW_STATE_OPEN
    for call_ in (
        reader.GetReview(id=opened.id, with_content=True),
        reader.ClaimReview(id=opened.id),
        reader.ExportReviews(),
        asker.ListReviews(),
        callers["stranger"].ListReviews(tenant="demo"),
    ):
        assert (await refused(call_))[:2] == (Code.PERMISSION_DENIED, "SCOPE_MISSING")
    assert (await callers["stranger"].ListReviews()).reviews == []
    assert [one.id for one in (await callers["operator"].ListReviews()).reviews] == [opened.id]
    assert (await refused(callers["operator"].ClaimNextReview()))[1] == "INVALID_REQUEST"
    assert await audited(suite, "review.look") == []
    with sqlite3.connect(tmp_path / "penstock.db") as database:
        (sealed,) = database.execute("SELECT sealed FROM review_contents").fetchone()
    database.close()
    assert b"canary" not in sealed


async def test_one_decides_on_no_request_of_ones_own_and_escalated_ones_take_more(suite, callers):
    told = await hears(suite)
    reviewer, boss = callers["reviewer"], callers["boss"]
    own = (await boss.OpenReview(text="mine")).review
    assert (await refused(boss.ClaimReview(id=own.id)))[:2] == (Code.FAILED_PRECONDITION, "RESOURCE_STATE")
    claimed = (await reviewer.ClaimReview(id=own.id)).review
    released = (await reviewer.ReleaseReview(id=own.id, claim=claimed.claim, note="not mine")).review
    assert (released.state, released.reviewer) == (pb.REVIEW_STATE_OPEN, "")

    other = (await callers["asker"].OpenReview(text="hard")).review
    claimed = (await reviewer.ClaimReview(id=other.id)).review
    escalated = (await reviewer.EscalateReview(id=other.id, claim=claimed.claim, note="beyond me")).review
    assert (escalated.escalated, escalated.state) == (True, pb.REVIEW_STATE_OPEN)
    assert (await refused(reviewer.ClaimReview(id=other.id)))[:2] == (Code.PERMISSION_DENIED, "SCOPE_MISSING")
    claimed = (await boss.ClaimReview(id=other.id)).review
    assert (await boss.DecideReview(id=other.id, claim=claimed.claim, decision=BLOCK)).review.decision == BLOCK
    assert sorted(kind for kind, _ in await told()) == ["review.decided", "review.escalated"]
    assert (await callers["asker"].GetReviewOutcome(id=other.id)).decision == BLOCK


async def test_bad_requests_are_told_what_is_wrong(callers):
    asker, reviewer = callers["asker"], callers["reviewer"]
    for wanted, field in (
        ({"text": " "}, "text"),
        ({"text": "x" * 65_537}, "text"),
        ({"text": "x", "context": "x" * 65_537}, "context"),
        ({"text": "x", "surface": 99}, "surface"),
    ):
        code, reason, error = await refused(asker.OpenReview(**wanted))
        assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert error.details().startswith(field), error.details()
    opened = (await asker.OpenReview(text="x")).review
    claim = (await reviewer.ClaimReview(id=opened.id)).review.claim
    for ruling in (
        {"decision": 0},
        {"decision": 99},
        {"decision": EDIT},
        {"decision": ALLOW, "edited": "y"},
        {"decision": ALLOW, "note": "n" * 1025},
    ):
        code, reason, _ = await refused(reviewer.DecideReview(id=opened.id, claim=claim, **ruling))
        assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST"), ruling
    for number in range(2):
        await asker.OpenReview(text=f"more {number}")
    code, reason, _ = await refused(asker.OpenReview(text="too many"))
    assert (code, reason) == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")


async def test_feedback_for_some_reasons_is_for_a_reviewer_and_other_feedback_is_not(suite, callers):
    answer = (await suite.ask()).json["id"]
    stub = FeedbackServiceStub(suite.channel)
    for reason in (feedback_service_pb2.Feedback.REASON_STYLE, feedback_service_pb2.Feedback.REASON_UNSAFE):
        request = feedback_service_pb2.GiveFeedbackRequest(
            generation_id=answer,
            thumb=feedback_service_pb2.Feedback.THUMB_DOWN,
            reason=reason,
            comment="It told how.",
            user=f"u{reason}",
        )
        async with asyncio.timeout(30):
            await stub.GiveFeedback(request, metadata=(("authorization", f"Bearer {suite.KEY}"),))
    (item,) = (await callers["reader"].ListReviews(source=pb.REVIEW_SOURCE_FEEDBACK)).reviews
    assert (item.rule, item.model, f"chatcmpl-{item.generation_id}") == ("unsafe", "fast", answer)
    seen = await callers["reviewer"].GetReview(id=item.id, with_content=True)
    assert seen.content.text == "It told how."
