"""``/passthrough/UPSTREAM/…`` on a real suite, against a server that shows what reached it byte for byte."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yarl

sys.path.insert(0, str(Path(__file__).parent))

from administrator import Administrator, refused  # noqa: E402
from questions_world import RAW, add_server  # noqa: E402

from penstock.gateway.v1 import admin_service_pb2 as admin  # noqa: E402
from penstock_common.testing.plain_upstream import PlainUpstream, answering  # noqa: E402

URL = "http://penstock"


@pytest.fixture
async def server(document: dict[str, Any]) -> Any:
    async with PlainUpstream() as server:
        add_server(document, server)
        yield server


@pytest.fixture
def key_of(serve: Any) -> Any:
    async def make(suite: Any, **fields: Any) -> str:
        operator = Administrator(suite.channel, suite.OPERATOR_KEY)
        made = await operator.CreateKey(tenant="demo", scopes=[admin.KEY_SCOPE_PASSTHROUGH], **fields)
        return made.secret

    return make


async def ask(suite: Any, method: str, path: str, key: str, **options: Any) -> Any:
    head = {"authorization": f"Bearer {key}", **options.pop("head", {})}
    url = yarl.URL(URL + path, encoded=True)
    async with suite.http.request(method, url, headers=head, allow_redirects=False, **options) as response:
        return response, await response.read()


async def test_a_request_passes_with_our_key_and_is_in_the_ledger(
    serve: Any, server: PlainUpstream, key_of: Any, transport: str
) -> None:
    server.usual = answering(
        b"\x89PNG", lines="Content-Type: image/png\r\nX-Request-Id: theirs\r\nX-RateLimit-Limit: 9\r\n"
    )
    suite = await serve(transport)
    key = await key_of(suite)
    head = {"x-penstock-feature": "f", "cookie": "a=b", "x-request-id": "mine", "openai-beta": "b", "traceparent": ""}
    response, body = await ask(
        suite, "POST", "/passthrough/plain/images/generations?b=2&a=%2F", key, data=b'{"n": 1.0}', head=head
    )
    assert (response.status, body) == (200, b"\x89PNG")
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-request-id"] == "theirs"
    assert response.headers["x-penstock-request-id"] == "mine"
    assert response.headers["x-ratelimit-limit"] == "9"
    assert response.headers["x-penstock-cost-usd"] == "0.04"
    (sent,) = server.requests
    assert (sent.target, sent.body) == ("/v1/images/generations?b=2&a=%2F", b'{"n": 1.0}')
    assert sent.headers["authorization"] == "Bearer sk-upstream-0123"
    assert sent.headers["openai-beta"] == "b"
    told = "\n".join(sent.lines).lower()
    assert not any(word in told for word in (key.lower(), "cookie", "penstock-feature", "mine", "traceparent"))
    (row,) = await suite.ledger_after_close()
    assert (row["operation"], row["surface"], row["upstream"]) == ("passthrough", "passthrough", "plain")
    assert (row["model"], row["requested_model"]) == ("POST /images/generations", "passthrough:plain")
    assert (row["cost_nano_usd"], row["outcome"], row["finish_reason"]) == (40_000_000, "ok", "200")


async def test_a_path_without_a_price_says_that_nobody_knows(serve: Any, server: PlainUpstream, key_of: Any) -> None:
    suite = await serve()
    response, _ = await ask(suite, "POST", "/passthrough/plain/audio/speech", await key_of(suite), data=b"x")
    assert response.headers["x-penstock-cost-usd"] == "unknown"
    (row,) = await suite.ledger_after_close()
    assert (row["cost_nano_usd"], row["model"]) == (0, "POST /audio/**")


async def test_an_upstreams_refusal_is_its_own_and_costs_nothing(
    serve: Any, server: PlainUpstream, key_of: Any
) -> None:
    server.usual = answering(b'{"error":{"message":"no"}}', "529 Overloaded", "Retry-After: 7\r\n")
    suite = await serve()
    response, body = await ask(suite, "POST", "/passthrough/plain/images/generations", await key_of(suite), data=b"x")
    assert (response.status, body, response.headers["retry-after"]) == (529, b'{"error":{"message":"no"}}', "7")
    (row,) = await suite.ledger_after_close()
    assert (row["cost_nano_usd"], row["finish_reason"], row["attempts"]) == (0, "529", 1)
    assert len(server.requests) == 1


async def test_what_was_never_sent_costs_nothing(
    document: dict[str, Any], serve: Any, server: PlainUpstream, key_of: Any, transport: str
) -> None:
    document["upstreams"][-1]["base_url"] = "http://127.0.0.1:1/v1"
    document["upstreams"][-1]["raw"] = {**RAW, "max_request_bytes": 10}
    suite = await serve(transport)
    key = await key_of(suite)

    async def upload() -> Any:
        yield b"x" * 11

    response, _ = await ask(suite, "POST", "/passthrough/plain/images/generations", key, data=b"x")
    assert response.status == 502
    await ask(suite, "POST", "/passthrough/plain/images/generations", key, data=upload())
    rows = await suite.ledger_after_close()
    assert [(row["cost_nano_usd"], row["attempts"]) for row in rows] == [(0, 0)] * 2


async def test_what_breaks_off_unanswered_costs_what_it_may_have(
    serve: Any, server: PlainUpstream, key_of: Any, transport: str
) -> None:
    async def cut(request: Any) -> None:
        await request.read()
        request.writer.close()

    server.usual = cut
    suite = await serve(transport)
    response, _ = await ask(suite, "POST", "/passthrough/plain/images/generations", await key_of(suite), data=b"x")
    assert response.status == 502
    (row,) = await suite.ledger_after_close()
    assert (row["cost_nano_usd"], row["attempts"]) == (40_000_000, 1)


async def test_an_upstream_says_nothing_in_our_name(serve: Any, server: PlainUpstream, key_of: Any) -> None:
    server.usual = answering(b"", lines="X-Penstock-Cost-Usd: 99\r\nAccess-Control-Allow-Origin: *\r\nX-Theirs: 1\r\n")
    suite = await serve()
    response, _ = await ask(suite, "POST", "/passthrough/plain/images/generations", await key_of(suite), data=b"x")
    assert response.headers.getall("x-penstock-cost-usd") == ["0.04"]
    assert "access-control-allow-origin" not in response.headers
    assert response.headers["x-theirs"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/passthrough/plain/images/generations", 404),
        ("POST", "/passthrough/nobody/images/generations", 404),
        ("POST", "/passthrough/first/images/generations", 404),
        ("POST", "/passthrough/plain/chat/completions", 404),
        ("GET", "/passthrough/plain/files/%2e%2e/models", 400),
        ("GET", "/passthrough/plain/files//x", 400),
        ("GET", "/passthrough/plain", 400),
    ],
)
async def test_what_is_not_open_is_not_there(
    serve: Any, server: PlainUpstream, key_of: Any, method: str, path: str, status: int
) -> None:
    suite = await serve()
    head = {"authorization": f"Bearer {await key_of(suite)}"}
    async with suite.http.request(method, yarl.URL(URL + path, encoded=True), headers=head) as response:
        assert response.status == status
        assert (await response.json())["error"]["type"] in ("not_found_error", "invalid_request_error")
    assert server.requests == []


async def test_keys_without_the_scope_or_the_right_do_not_pass(serve: Any, server: PlainUpstream, key_of: Any) -> None:
    suite = await serve()
    response, _ = await ask(suite, "GET", "/passthrough/plain/files/a", suite.KEY)
    assert response.status == 403
    response, _ = await ask(suite, "GET", "/passthrough/plain/files/a", "no-such-key-at-all")
    assert response.status == 401
    narrow = await key_of(suite, models=["fast"])
    response, _ = await ask(suite, "GET", "/passthrough/plain/files/a", narrow)
    assert response.status == 403
    assert server.requests == []
    named = await key_of(suite, models=["passthrough:plain"])
    response, _ = await ask(suite, "GET", "/passthrough/plain/files/a", named)
    assert response.status == 200


async def test_only_an_operator_gives_the_scope(serve: Any, server: PlainUpstream) -> None:
    suite = await serve()
    operator = Administrator(suite.channel, suite.OPERATOR_KEY)
    admin_key = (await operator.CreateKey(tenant="demo", scopes=[admin.KEY_SCOPE_ADMIN])).secret
    wanted = Administrator(suite.channel, admin_key).CreateKey(tenant="demo", scopes=[admin.KEY_SCOPE_PASSTHROUGH])
    status, reason, _ = await refused(wanted)
    assert (status.name, reason) == ("PERMISSION_DENIED", "SCOPE_MISSING")


async def test_a_passing_key_asks_no_model(serve: Any, server: PlainUpstream, key_of: Any) -> None:
    suite = await serve()
    assert (await suite.ask(key=await key_of(suite))).status == 403


async def test_both_bodies_flow_and_events_are_untouched(
    serve: Any, server: PlainUpstream, key_of: Any, transport: str
) -> None:
    more = asyncio.Event()
    events = [b": comment\r\n\r\n", b"id: 1\ndata: a\ndata: b\n\n", b"event: odd\ndata: c"]

    async def stream(request: Any) -> None:
        async for _ in request.pieces():
            more.set()
        await request.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in events:
            await more.wait()
            more.clear()
            await request.send(b"%x\r\n%b\r\n" % (len(event), event))
        await request.send(b"0\r\n\r\n")

    async def upload() -> Any:
        yield b"--x\r\n"
        await more.wait()
        yield b"--x--"

    server.usual = stream
    suite = await serve(transport)
    head = {"authorization": f"Bearer {await key_of(suite)}", "content-type": "multipart/form-data; boundary=x"}
    async with suite.http.post(
        f"{URL}/passthrough/plain/audio/transcriptions", data=upload(), headers=head
    ) as response:
        got = []
        async for piece in response.content.iter_any():
            got.append(piece)
            more.set()
    assert b"".join(got) == b"".join(events)
    assert len(got) == len(events)
    assert server.requests[0].body == b"--x\r\n--x--"
    assert server.requests[0].headers["content-type"] == "multipart/form-data; boundary=x"


async def test_a_compressed_answer_and_a_compressed_request_stay_so(
    serve: Any, server: PlainUpstream, key_of: Any
) -> None:
    packed = b"\x1f\x8b not really gzip"
    server.usual = answering(packed, lines="Content-Encoding: gzip\r\nContent-Type: a/b\r\n")
    suite = await serve()
    head = {"authorization": f"Bearer {await key_of(suite)}", "content-encoding": "gzip", "accept-encoding": "gzip"}
    connector = aiohttp.UnixConnector(suite.http_socket)
    async with (
        aiohttp.ClientSession(connector=connector, auto_decompress=False) as plain,
        plain.post(f"{URL}/passthrough/plain/audio/x", data=packed, headers=head) as response,
    ):
        assert response.headers["content-encoding"] == "gzip"
        assert await response.read() == packed
    assert server.requests[0].body == packed
    assert server.requests[0].headers["content-encoding"] == "gzip"
    assert server.requests[0].headers["accept-encoding"] == "gzip"


async def test_a_large_upload_passes_whole(serve: Any, server: PlainUpstream, key_of: Any) -> None:
    suite = await serve()
    body, digest = bytes(range(256)) * 256, hashlib.sha256()

    async def upload() -> Any:
        for _ in range(256):
            digest.update(body)
            yield body

    response, _ = await ask(suite, "POST", "/passthrough/plain/files/x", await key_of(suite), data=upload())
    assert response.status == 200
    assert hashlib.sha256(server.requests[0].body).digest() == digest.digest()


async def test_who_leaves_ends_the_upstreams_work(
    serve: Any, server: PlainUpstream, key_of: Any, transport: str
) -> None:
    async def begin(request: Any) -> None:
        await request.read()
        await request.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await request.gone()

    server.usual = begin
    suite = await serve(transport)
    head = {"authorization": f"Bearer {await key_of(suite)}"}
    async with suite.http.post(f"{URL}/passthrough/plain/images/generations", data=b"x", headers=head) as response:
        assert await response.content.readexactly(1) == b"a"
    await asyncio.wait_for(server.requests[0].left.wait(), 30)
    (row,) = await suite.ledger_after_close()
    assert (row["outcome"], row["cost_nano_usd"]) == ("cancelled", 40_000_000)


async def test_an_answer_that_breaks_off_does_not_look_whole(
    serve: Any, server: PlainUpstream, key_of: Any, transport: str, capsys: Any
) -> None:
    seen = asyncio.Event()

    def cut(framing: str, *, is_reset: bool) -> Any:
        async def answer(request: Any) -> None:
            await request.read()
            await request.send(f"HTTP/1.1 200 OK\r\n{framing}".encode())
            await asyncio.wait_for(seen.wait(), 30)
            request.writer.transport.abort() if is_reset else request.writer.close()

        return answer

    chunked, sized = "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "Content-Length: 1000\r\n\r\na"
    answers = [cut(framing, is_reset=is_reset) for framing in (chunked, sized) for is_reset in (True, False)]
    server.answers.extend(answers)
    suite = await serve(transport)
    head = {"authorization": f"Bearer {await key_of(suite)}"}
    for _ in answers:
        seen.clear()
        async with suite.http.get(f"{URL}/passthrough/plain/files/a", headers=head) as response:
            # What has come is told before it breaks off.
            assert (response.status, await response.content.readexactly(1)) == (200, b"a")
            seen.set()
            with pytest.raises(aiohttp.ClientError):
                await response.content.read()
    rows = await suite.ledger_after_close()
    assert {(row["outcome"], row["finish_reason"]) for row in rows} == {("upstream_failed", "200")}
    assert len(rows) == len(answers)
    # That an upstream dies is no failure of ours.
    assert "unexpected_error" not in "".join(capsys.readouterr())


async def test_methods_and_answers_without_a_body(serve: Any, server: PlainUpstream, key_of: Any) -> None:
    suite = await serve()
    key = await key_of(suite)
    server.answers.extend(
        [
            answering(b"123456789"),
            answering(b"", "204 No Content"),
            answering(b"", "302 Found", "Location: http://e/\r\n"),
        ]
    )
    response, body = await ask(suite, "HEAD", "/passthrough/plain/files/a", key)
    assert (response.status, response.headers["content-length"], body) == (200, "9", b"")
    response, body = await ask(suite, "DELETE", "/passthrough/plain/files/a", key)
    assert (response.status, body) == (204, b"")
    response, body = await ask(suite, "GET", "/passthrough/plain/files/a", key, head={"range": "bytes=0-1"})
    assert (response.status, response.headers["location"]) == (302, "http://e/")
    assert [request.method for request in server.requests] == ["HEAD", "DELETE", "GET"]
    assert server.requests[2].headers["range"] == "bytes=0-1"
    assert len(server.requests) == 3


async def test_limits_count_it_and_budgets_bind_it(
    document: dict[str, Any], serve: Any, server: PlainUpstream, key_of: Any
) -> None:
    document["budgets"] = [{"name": "b", "tenant": "demo", "amount": "0.05", "period": "day"}]
    suite = await serve()
    key = await key_of(suite)
    response, _ = await ask(suite, "POST", "/passthrough/plain/images/generations", key, data=b"x")
    assert response.status == 200
    response, _ = await ask(suite, "POST", "/passthrough/plain/images/generations", key, data=b"x")
    assert response.status == 429
    response, _ = await ask(suite, "POST", "/passthrough/plain/audio/x", key, data=b"x")
    assert response.status == 403
    response, _ = await ask(suite, "GET", "/passthrough/plain/files/x", key)
    assert response.status == 200
    assert int(response.headers.get("x-ratelimit-remaining-requests", 1)) >= 0
    assert [request.target for request in server.requests] == ["/v1/images/generations", "/v1/files/x"]


async def test_regions_hold_here_too(document: dict[str, Any], serve: Any, server: PlainUpstream, key_of: Any) -> None:
    document["tenants"][0]["regions"] = ["us"]
    suite = await serve()
    response, _ = await ask(suite, "GET", "/passthrough/plain/files/x", await key_of(suite))
    assert response.status == 404


async def test_a_body_is_bounded(document: dict[str, Any], serve: Any, server: PlainUpstream, key_of: Any) -> None:
    document["upstreams"][-1]["raw"] = {**RAW, "max_request_bytes": 10}
    suite = await serve()
    key = await key_of(suite)
    response, _ = await ask(suite, "POST", "/passthrough/plain/files/x", key, data=b"x" * 11)
    assert response.status == 413

    async def upload() -> Any:
        yield b"x" * 11

    response, _ = await ask(suite, "POST", "/passthrough/plain/files/x", key, data=upload())
    assert response.status == 413
