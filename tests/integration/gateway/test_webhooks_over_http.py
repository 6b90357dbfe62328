"""Messages to webhooks over real sockets: signed, tried again under the same id, and to nobody inside who is not named."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from aiohttp import web

from penstock_gateway.adapters.sql.webhooks.schema import WEBHOOKS
from penstock_gateway.adapters.sql.webhooks.store import SqlDeliveries
from penstock_gateway.adapters.webhooks.http_sender import MAX_ANSWER_BYTES, HttpSender
from penstock_gateway.domain.webhooks.courier import LEASE, Courier
from penstock_gateway.domain.webhooks.delivery import RETRY_AFTER, Delivery
from penstock_gateway.domain.webhooks.endpoint import Endpoint

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
OLD, NEW = b"o" * 24, b"n" * 24
SOON = timedelta(milliseconds=50)
ENOUGH = timedelta(seconds=30)
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Sink:
    """A receiver: what came, and what is answered next; 204 where nothing is said."""

    def __init__(self):
        self.came, self.answers, self.url = [], [], ""

    async def take(self, request):
        body = await request.read()
        self.came.append((dict(request.headers), body))
        answer = self.answers.pop(0) if self.answers else 204
        return answer if isinstance(answer, web.StreamResponse) else web.Response(status=answer)


@pytest.fixture
async def sink():
    made = Sink()
    app = web.Application()
    app.router.add_route("*", "/{way:.*}", made.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook?a=1"
    yield made
    await runner.cleanup()


@pytest.fixture
async def store(engine):
    async with engine.begin() as connection:
        await connection.run_sync(WEBHOOKS.metadata.create_all)
    return SqlDeliveries(engine)


class Tries:
    """What an observer hears."""

    def __init__(self):
        self.results = []

    def tried(self, webhook, result):
        self.results.append(result)


def courier(store, clock, *endpoints, sender=None):
    tries = Tries()
    known = {endpoint.name: endpoint for endpoint in endpoints}
    sender = sender or HttpSender(ENOUGH, ENOUGH)
    made = Courier(store, sender, tries, lambda: dict(known), lambda: clock[0], lambda: 0.5)
    made.tries, made.known = tries, known
    return made


def delivery(number=1):
    body = json.dumps({"type": "budget.threshold", "n": "ä"}, ensure_ascii=False)
    return Delivery(id=f"msg_{number}", webhook="finance", type="t", body=body, created_at=NOW, next_at=NOW)


def verified(secret, headers, body):
    """Do what a receiver does, as docs/budgets.md shows it."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(secret, content, sha256).digest()).decode()
    given = [one.removeprefix("v1,") for one in headers["webhook-signature"].split()]
    return any(hmac.compare_digest(expected, one) for one in given)


@ON_SQLITE
async def test_a_message_comes_signed_and_is_tried_again_under_the_same_id(store, sink):
    clock = [NOW]
    endpoint = Endpoint("finance", sink.url, (NEW, OLD), allow_private=True)
    sink.answers = [500, web.Response(status=302, headers={"location": sink.url}), 204]
    await store.add(delivery())
    first = courier(store, clock, endpoint)
    assert await first.deliver() == 1
    assert await first.deliver() == 0
    clock[0] += RETRY_AFTER[0]
    # Another process, such as the same after a restart, goes on.
    second = courier(store, clock, endpoint)
    assert await second.deliver() == 1
    clock[0] += RETRY_AFTER[1]
    assert await second.deliver() == 1
    clock[0] += timedelta(days=1)
    assert await second.deliver() == 0
    assert (first.tries.results, second.tries.results) == (["failed"], ["failed", "delivered"])
    heads = [{name.lower(): value for name, value in headers.items()} for headers, _ in sink.came]
    assert {head["webhook-id"] for head in heads} == {"msg_1"}
    assert [int(head["webhook-timestamp"]) - int(NOW.timestamp()) for head in heads] == [0, 5, 305]
    for (_, body), head in zip(sink.came, heads, strict=True):
        assert verified(OLD, head, body)
        assert verified(NEW, head, body)
        assert not verified(b"x" * 24, head, body)
        assert not verified(OLD, head, body + b" ")
        assert head["content-type"] == "application/json"
    assert json.loads(sink.came[0][1])["n"] == "ä"


async def test_an_address_that_is_gone_is_asked_no_more_until_it_is_another(store, sink):
    clock = [NOW]
    sink.answers = [410]
    await store.add(delivery(1))
    one = courier(store, clock, Endpoint("finance", sink.url, (OLD,), allow_private=True))
    await one.deliver()
    await store.add(delivery(2))
    await one.deliver()
    assert one.tries.results == ["disabled", "disabled"]
    assert len(sink.came) == 1
    await store.add(delivery(3))
    other = courier(store, clock, Endpoint("finance", f"{sink.url}&b=2", (OLD,), allow_private=True))
    await other.deliver()
    assert other.tries.results == ["delivered"]


@ON_SQLITE
async def test_several_go_at_once_and_none_waits_for_one_that_hangs(store, sink):
    clock, hangs = [NOW], asyncio.Event()
    for number in range(7):
        await store.add(delivery(number))

    class Hanging(HttpSender):
        async def post(self, endpoint, headers, body):
            if headers["webhook-id"] == "msg_0":
                await hangs.wait()
            return await super().post(endpoint, headers, body)

    endpoint = Endpoint("finance", sink.url, (OLD,), allow_private=True)
    one = courier(store, clock, endpoint, sender=Hanging(ENOUGH, ENOUGH))
    async with asyncio.TaskGroup() as group:
        batch = group.create_task(one.deliver())
        other = courier(store, clock, endpoint)
        while len(sink.came) < 4:
            await asyncio.sleep(0)
        assert await other.deliver() == 2
        hangs.set()
    assert batch.result() == 5
    assert sorted(headers["webhook-id"] for headers, _ in sink.came) == [f"msg_{number}" for number in range(7)]


@ON_SQLITE
async def test_a_process_that_dies_leaves_its_messages_to_others(store, sink):
    clock = [NOW]
    await store.add(delivery())

    class Dying(HttpSender):
        async def post(self, endpoint, headers, body):
            raise asyncio.CancelledError

    endpoint = Endpoint("finance", sink.url, (OLD,), allow_private=True)
    with pytest.raises(asyncio.CancelledError):
        await courier(store, clock, endpoint, sender=Dying(ENOUGH, ENOUGH)).deliver()
    other = courier(store, clock, endpoint)
    assert await other.deliver() == 0
    clock[0] += LEASE
    assert await other.deliver() == 1
    assert len(sink.came) == 1


@ON_SQLITE
async def test_a_message_goes_where_it_was_claimed_for_though_the_configuration_changes_meanwhile(store, sink):
    await store.add(delivery())
    one = courier(store, [NOW], Endpoint("finance", sink.url, (OLD,), allow_private=True))
    disabled = store.disabled

    async def reloaded():
        one.known.clear()
        return await disabled()

    store.disabled = reloaded
    assert await one.deliver() == 1
    assert one.tries.results == ["delivered"]


async def posted(url, *, sender=None, **fields):
    sender = sender or HttpSender(ENOUGH, ENOUGH)
    return await sender.post(Endpoint("w", url, (OLD,), **fields), {}, b"{}")


async def test_nothing_inside_is_asked_unless_it_is_said(sink):
    refused = await posted(sink.url)
    assert "allow_private permits it" in refused.error
    by_name = sink.url.replace("127.0.0.1", "localhost")
    assert "allow_private permits it" in (await posted(by_name)).error
    assert sink.came == []
    assert (await posted(by_name, allow_private=True)).is_delivered


@ON_SQLITE
@pytest.mark.parametrize(
    ("asks", "waits"), [("1200", 1200), ("1", 5), ("999999999", 24 * 3600), ("soon", 5), ("-5", 5)]
)
async def test_who_asks_to_be_left_alone_is_for_a_day_at_most(store, sink, asks, waits):
    clock = [NOW]
    sink.answers = [web.Response(status=503, headers={"retry-after": asks})]
    await store.add(delivery())
    one = courier(store, clock, Endpoint("finance", sink.url, (OLD,), allow_private=True))
    assert await one.deliver() == 1
    clock[0] += timedelta(seconds=waits - 1)
    assert await one.deliver() == 0
    clock[0] += timedelta(seconds=1)
    assert await one.deliver() == 1
    assert one.tries.results == ["failed", "delivered"]


async def test_one_address_inside_is_enough_to_refuse_a_name(sink):
    asked = []

    async def rebinding(host, port):
        asked.append(host)
        places = ("8.8.8.8", port), ("127.0.0.1", port)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place) for place in places]

    sender = HttpSender(ENOUGH, ENOUGH, rebinding)
    refused = await posted(sink.url.replace("127.0.0.1", "hook.example.com"), sender=sender)
    assert "allow_private permits it" in refused.error
    # What is judged is what is dialled: the name is asked once.
    assert asked == ["hook.example.com"]
    assert sink.came == []


async def test_a_long_answer_is_not_read_to_its_end(sink):
    sink.answers = [web.Response(body=b"x" * (MAX_ANSWER_BYTES * 64))]
    assert (await posted(sink.url, allow_private=True)).is_delivered


@asynccontextmanager
async def speaking(says):
    """Yield the address of a server that says this to whoever comes, and then nothing."""
    done = asyncio.Event()

    async def serve(reader, writer):
        writer.write(says)
        await done.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        done.set()
        server.close()


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx"])
async def test_who_says_nothing_or_never_ends_has_failed(says):
    async with speaking(says) as url:
        outcome = await posted(url, sender=HttpSender(ENOUGH, SOON), allow_private=True)
    assert outcome.error == "no answer within 0.05 s"


async def test_what_is_no_answer_and_who_is_not_there_has_failed():
    async with speaking(b"SSH-2.0-x\r\n") as url:
        assert not (await posted(url, allow_private=True)).is_delivered
    assert not (await posted(url, allow_private=True)).is_delivered
