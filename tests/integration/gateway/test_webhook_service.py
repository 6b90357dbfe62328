"""WebhookService through a gateway: whose they are, what is shown of them, what was sent, and what they hear of unasked."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from aiohttp import web
from google.protobuf import field_mask_pb2

from penstock.gateway.v1 import admin_service_pb2, chat_service_pb2, job_service_pb2
from penstock.gateway.v1 import webhook_service_pb2 as pb
from penstock.gateway.v1.job_service_pb2_grpc import JobServiceStub
from penstock.gateway.v1.webhook_service_pb2_grpc import WebhookServiceStub
from penstock.llm.v1 import message_pb2
from penstock_gateway.domain.webhooks.registered import MAX_WEBHOOKS

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator, refused  # noqa: E402
from jobs_desk import QUICK  # noqa: E402

Code = grpc.StatusCode
URL = "https://hook.example.com/in?token=canary"


class Caller:
    """A caller of WebhookService with a key."""

    def __init__(self, channel, key):
        self._stub = WebhookServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {key}"),)

    def __getattr__(self, name):
        async def call(**fields):
            request = getattr(pb, f"{name}Request")(**fields)
            return await getattr(self._stub, name)(request, metadata=self._metadata, timeout=30)

        return call

    async def made(self, name="ops", url=URL, **fields):
        return await self.CreateWebhook(webhook=pb.Webhook(name=name, url=url, **fields))


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
    document["jobs"] = QUICK
    document["webhook_delivery"] = {"every": "20ms", "refresh": "20ms"}
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    inside = {"url": sink[0], "secrets": [secret], "allow_private": True}
    document["webhooks"] = {"inside": {**inside, "tenants": ["demo"]}, "operators": inside}
    return document


@pytest.fixture
async def keys(suite):
    ask, made = Administrator(suite.channel, suite.OPERATOR_KEY), {}
    for name, tenant, scope in (
        ("admin", "demo", admin_service_pb2.KEY_SCOPE_ADMIN),
        ("reader", "demo", admin_service_pb2.KEY_SCOPE_READ),
        ("stranger", "other", admin_service_pb2.KEY_SCOPE_ADMIN),
    ):
        key = await ask.CreateKey(tenant=tenant, scopes=[scope])
        made[name] = Caller(suite.channel, key.secret)
    return made


async def test_a_webhook_is_its_tenants_and_shows_no_secret_again(keys, suite, tmp_path):
    admin, stranger, operator = keys["admin"], keys["stranger"], Caller(suite.channel, suite.OPERATOR_KEY)
    made = await admin.made(events=["job.dead"])
    assert made.secret.startswith("whsec_")
    assert made.webhook.url == "https://hook.example.com/in"
    assert (await refused(admin.made()))[:2] == (Code.ALREADY_EXISTS, "RESOURCE_EXISTS")
    for call in (
        stranger.GetWebhook(name="ops"),
        stranger.DeleteWebhook(name="ops"),
        stranger.RotateWebhookSecret(name="ops"),
        stranger.TestWebhook(name="ops"),
        stranger.ListWebhookDeliveries(name="ops"),
        stranger.RedeliverWebhook(name="ops"),
        stranger.UpdateWebhook(webhook=pb.Webhook(name="ops", url=URL)),
    ):
        assert (await refused(call))[:2] == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")
    assert (await refused(stranger.ListWebhooks(tenant="demo")))[0] is Code.PERMISSION_DENIED
    assert (await refused(keys["reader"].made()))[1] == "SCOPE_MISSING"
    assert [each.name for each in (await operator.ListWebhooks(tenant="demo")).webhooks] == ["ops"]
    assert (await refused(operator.ListWebhooks()))[1] == "INVALID_REQUEST"
    rotated = await admin.RotateWebhookSecret(name="ops")
    assert rotated.secret != made.secret
    until = rotated.webhook.old_secret_until.ToDatetime() - made.webhook.created_at.ToDatetime()
    assert timedelta(hours=23) < until < timedelta(hours=25)
    with sqlite3.connect(tmp_path / "penstock.db") as database:
        (kept,) = database.execute("SELECT sealed FROM webhooks").fetchone()
    assert b"canary" not in kept
    await admin.DeleteWebhook(name="ops")
    assert (await keys["reader"].ListWebhooks()).webhooks == []


@pytest.mark.parametrize(
    "url",
    [
        "http://hook.example.com/",
        "https://user:pass@hook.example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/",
        "https://hook.example.com:8443/",
        "https://hook.example.com/\r\nx: y",
        "ftp://hook.example.com/",
        "https://",
        "",
    ],
)
async def test_where_nothing_may_go_is_refused_at_once(keys, url):
    assert (await refused(keys["admin"].made(url=url)))[:2] == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_names_events_and_number_are_bounded(keys):
    admin = keys["admin"]
    for fields in ({"name": "a b"}, {"name": ""}, {"events": ["*"]}, {"events": ["job.dead"] * 17}):
        assert (await refused(admin.made(**fields)))[1] == "INVALID_REQUEST"
    for number in range(MAX_WEBHOOKS):
        await admin.made(name=f"w{number}")
    assert "at most 10" in (await refused(admin.made(name="more")))[2].details()
    unknown = pb.Webhook(name="w1", url=URL), field_mask_pb2.FieldMask(paths=["secret"])
    assert (await refused(admin.UpdateWebhook(webhook=unknown[0], update_mask=unknown[1])))[1] == "INVALID_REQUEST"


async def test_a_name_that_leads_inside_is_refused_at_the_try_and_the_log_says_so(keys):
    admin = keys["admin"]
    await admin.made(url="https://localhost/")
    sent = await admin.TestWebhook(name="ops")
    async with asyncio.timeout(30):
        while True:
            (delivery,) = (await admin.ListWebhookDeliveries(name="ops")).deliveries
            if delivery.tries:
                break
    assert (delivery.id, delivery.type) == (sent.delivery_id, "webhook.test")
    assert delivery.state == pb.WEBHOOK_DELIVERY_STATE_WAITING
    assert "not of the internet at large" in delivery.tries[0].error
    assert (await admin.RedeliverWebhook(name="ops", delivery_id=sent.delivery_id)).redelivered == 1
    assert (await refused(admin.RedeliverWebhook(name="ops", delivery_id="msg_none")))[1] == "RESOURCE_NOT_FOUND"


async def test_a_jobs_end_is_told_to_whom_it_names_and_to_who_hears_of_it_unasked(keys, suite, sink):
    admin = keys["admin"]
    await admin.made(events=["job.*"])
    request = job_service_pb2.SubmitJobRequest(chat=_chat(), options=job_service_pb2.JobOptions(webhook="inside"))
    stub, metadata = JobServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)
    job = (await stub.SubmitJob(request, metadata=metadata)).job
    async with asyncio.timeout(30):
        while not sink[1]:
            await asyncio.sleep(0.01)
    headers, told = sink[1][0]
    assert (told["type"], told["data"]["id"], told["data"]["state"]) == ("job.succeeded", job.id, "succeeded")
    assert headers["webhook-id"].startswith(job.id)
    (unasked,) = (await admin.ListWebhookDeliveries(name="ops")).deliveries
    assert (unasked.type, unasked.id != headers["webhook-id"]) == ("job.succeeded", True)
    request.options.webhook = "operators"
    assert (await refused(stub.SubmitJob(request, metadata=metadata)))[1] == "INVALID_REQUEST"


def _chat():
    request = chat_service_pb2.ChatRequest()
    request.input.model = "fast"
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text="Hi")
    return request
