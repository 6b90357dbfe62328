"""Requests that pass as they are, over both transports, against a server on a real socket."""

import asyncio
import hashlib
from contextlib import aclosing, asynccontextmanager

import pytest

from penstock_common import errors
from penstock_common.contract.relay import RelayPlace, RelayRequestHead, RelayResponseHead
from penstock_common.contract.wire.relay import FIND_RELAY, RELAY
from penstock_common.testing.plain_upstream import PlainUpstream, answering
from penstock_common.testing.transports import channel_to
from penstock_inference.app import build
from penstock_inference.settings import Settings

PATHS = [
    {"path": "/images/generations", "methods": ["POST"], "price": "0.04"},
    {"path": "/files/*/content", "methods": ["GET", "DELETE"]},
    {"path": "/any/**", "methods": ["GET", "POST", "PUT", "PATCH", "OPTIONS"], "price": 0},
]


@pytest.fixture
async def upstream():
    async with PlainUpstream() as upstream:
        yield upstream


def entry(upstream, **more):
    return {
        "name": "one", "provider": "openai_compatible", "base_url": f"{upstream.url}/v1", "api_key": "sk-ours-0123456789",
        "region": "eu", "models": [{"name": "m", "context_window": 8192}], "raw": {"paths": PATHS}, **more,
    }  # fmt: skip


@asynccontextmanager
async def opened(transport, *entries):
    settings = Settings.model_validate({"upstreams": list(entries)})
    async with build(settings) as service, channel_to(service, transport) as channel:
        yield channel


def head(path="/any/x", method="GET", query="", headers=(), length=0, regions=()):
    return RelayRequestHead(RelayPlace("one", method, path, regions), query, headers, length)


async def messages(*given):
    for message in given:
        yield message


async def passed(channel, *given, **more):
    """Return the head and the body of an answer."""
    told = []
    async with aclosing(channel.exchange(RELAY, messages(*given), **more)) as answer:
        async for message in answer:
            told.append(message)
    assert isinstance(told[0], RelayResponseHead)
    return told[0], b"".join(told[1:])


async def test_a_request_passes_as_it_is_with_our_key_in_the_place_of_any(transport, upstream):
    upstream.usual = answering(
        b"\x00\xff", "201 Created", "Content-Type: image/png\r\nX-Request-Id: theirs\r\nSet-Cookie: a=b\r\n"
    )
    headers = (
        ("authorization", "Bearer caller"), ("x-api-key", "caller"), ("api-key", "caller"), ("x-goog-api-key", "caller"),
        ("cookie", "caller=1"), ("content-type", "multipart/form-data; boundary=x"), ("openai-beta", "a"), ("x-odd", "1"),
        ("connection", "x-odd"), ("host", "elsewhere"), ("accept-encoding", "gzip"),
    )  # fmt: skip
    steps = []
    async with opened(transport, entry(upstream)) as channel:
        request = head("/any/a%2Fb", "POST", "b=2&a=%2F+&a=&c", headers, 6)
        told, body = await passed(channel, request, b"abc", b"def", steps=steps)
    assert (told.status, body, told.length) == (201, b"\x00\xff", 2)
    assert dict(told.headers) == {"content-type": "image/png", "x-request-id": "theirs", "content-length": "2"} or dict(
        told.headers
    ) == {"content-type": "image/png", "x-request-id": "theirs"}
    (sent,) = upstream.requests
    assert (sent.method, sent.target, sent.body) == ("POST", "/v1/any/a%2Fb?b=2&a=%2F+&a=&c", b"abcdef")
    assert not any("caller" in line for line in sent.lines)
    assert sent.headers["authorization"] == "Bearer sk-ours-0123456789"
    assert sent.headers["content-length"] == "6"
    assert sent.headers["content-type"] == "multipart/form-data; boundary=x"
    assert sent.headers["host"] == upstream.url.removeprefix("http://")
    assert "x-odd" not in sent.headers
    (step,) = steps
    assert step.name == "relay"
    assert step.attributes == {
        "upstream": "one", "method": "POST", "path": "/any/**", "status": 201, "response_bytes": 2,
    }  # fmt: skip


async def test_terms_say_what_one_costs(transport, upstream):
    async with opened(transport, entry(upstream)) as channel:
        for method, path, price in (
            ("POST", "/images/generations", 40_000_000),
            ("GET", "/files/file-1/content", None),
            ("HEAD", "/files/file-1/content", None),
            ("GET", "/any", 0),
            ("GET", "/any/a/b", 0),
        ):
            terms = await channel.call(FIND_RELAY, RelayPlace("one", method, path))
            assert terms.price_nano_usd == price
            assert terms.max_request_bytes == 512 * 1024 * 1024


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/images/generations"), ("POST", "/images"), ("POST", "/images/generations/x"), ("GET", "/files/content"),
        ("GET", "/files/a/b/content"), ("GET", "/files/a%2Fb/content"), ("POST", "/any/chat/completions"),
        ("POST", "/any/v1/Messages/"), ("POST", "/any/x%2Fembeddings"),
        ("POST", "/any/chat/completions;v=1"), ("POST", "/any/chat;a/completions%3Bx"), ("POST", "/any/responses%3Fa"),
        ("POST", "/any/messages%20"), ("POST", "/any/messages/batches"), ("POST", "/any/responses/compact"),
        ("PUT", "/any/responses%23/compact"), ("PATCH", "/any/embeddings/"), ("POST", "/any/v2/chat"),
        ("POST", "/any/models/g:streamGenerateContent"), ("POST", "/any/models/g:rawPredict"), ("POST", "/any/m/x/invoke"),
        ("POST", "/any/api/generate"), ("POST", "/any/api%5Cgenerate"), ("POST", "/any/models/g:batchGenerateContent"), ("GET", "/models"), ("TRACE", "/any/x"),
    ],
)  # fmt: skip
async def test_what_is_not_listed_does_not_exist(transport, upstream, method, path):
    async with opened(transport, entry(upstream)) as channel:
        for place in (RelayPlace("one", method, path), RelayPlace("two", "GET", "/any/x")):
            with pytest.raises(errors.ResourceNotFound):
                await channel.call(FIND_RELAY, place)
        with pytest.raises(errors.ResourceNotFound):
            await passed(channel, head(path, method))
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/any/images/generate"), ("POST", "/any/chat/sessions"), ("POST", "/any/batches"), ("GET", "/any/responses/r"),
        ("POST", "/any/audio/speech"), ("POST", "/any/models/i:predict"), ("POST", "/any/my-responses"),
        ("POST", "/any/files;a=1/content"),
    ],
)  # fmt: skip
async def test_what_has_no_form_of_its_own_may_pass(transport, upstream, method, path):
    async with opened(transport, entry(upstream)) as channel:
        assert (await channel.call(FIND_RELAY, RelayPlace("one", method, path))).price_nano_usd == 0


async def test_another_region_does_not_exist_either(transport, upstream):
    async with opened(transport, entry(upstream)) as channel:
        await channel.call(FIND_RELAY, RelayPlace("one", "GET", "/any/x", ("us", "eu")))
        with pytest.raises(errors.ResourceNotFound):
            await channel.call(FIND_RELAY, RelayPlace("one", "GET", "/any/x", ("us",)))


@pytest.mark.parametrize(
    "path",
    [
        "/any/../admin", "/any/%2e%2e/admin", "/any/%252e%252e/admin", "/any/..%2fadmin", "/any/..%5cadmin", "/any//x",
        "/any/./x", "any/x", "http://elsewhere/any/x", "//elsewhere/any", "/any/x\r\nHost: y", "/any/%0d%0ax", "/any/x?y",
        "/any/x#y", "/any/..;a/x", "/any/é", "/any/%25252525252e",
    ],
)  # fmt: skip
async def test_no_path_leads_out_of_the_upstreams(transport, upstream, path):
    async with opened(transport, entry(upstream)) as channel:
        with pytest.raises(errors.InvalidRequest):
            await channel.call(FIND_RELAY, RelayPlace("one", "GET", path))
    assert upstream.requests == []


async def test_a_head_cannot_be_broken_by_its_values(transport, upstream):
    async with opened(transport, entry(upstream)) as channel:
        for headers, query in (((("x", "a\r\nHost: b"),), ""), ((("x y", "a"),), ""), ((), "a b\r\nHost: c")):
            with pytest.raises(errors.InvalidRequest):
                await passed(channel, head(headers=headers, query=query))
    assert upstream.requests == []


async def test_both_bodies_flow_at_once_and_piece_by_piece(transport, upstream):
    answers = asyncio.Queue()

    async def echo(request):
        await request.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        async for piece in request.pieces():
            await request.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await request.send(b"0\r\n\r\n")

    async def given():
        yield head("/any/x", "POST", length=None)
        for piece in (b"data: 1\n\n", b": c\r\n\r\n", b"data: 2"):
            yield piece
            # The next is asked for only once the last has come back.
            assert await asyncio.wait_for(answers.get(), 30) == piece

    upstream.usual = echo
    async with opened(transport, entry(upstream)) as channel, aclosing(channel.exchange(RELAY, given())) as answer:
        async for message in answer:
            if isinstance(message, bytes):
                answers.put_nowait(message)
    assert upstream.requests[0].headers["transfer-encoding"] == "chunked"
    assert "content-length" not in upstream.requests[0].headers


async def test_a_large_body_passes_whole(transport, upstream):
    digest, size, piece = hashlib.sha256(), 16 * 1024 * 1024, bytes(range(256)) * 256

    async def given():
        yield head("/any/x", "POST", length=size)
        for _ in range(size // len(piece)):
            digest.update(piece)
            yield piece

    upstream.usual = answering({})
    async with opened(transport, entry(upstream)) as channel, aclosing(channel.exchange(RELAY, given())) as answer:
        async for _ in answer:
            pass
    assert hashlib.sha256(upstream.requests[0].body).digest() == digest.digest()


async def test_who_leaves_ends_the_exchange(transport, upstream):
    async def begin(request):
        await request.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await request.gone()

    upstream.usual = begin
    async with opened(transport, entry(upstream)) as channel:
        async with aclosing(channel.exchange(RELAY, messages(head()))) as answer:
            async for message in answer:
                if message == b"a":
                    break
        await asyncio.wait_for(upstream.requests[0].left.wait(), 30)


async def test_a_refusal_comes_though_the_body_is_not_all_sent(transport, upstream):
    async def refuse(request):
        await anext(request.pieces())
        await request.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        await request.gone()

    async def given():
        yield head("/any/x", "POST", length=None)
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    upstream.usual = refuse
    async with opened(transport, entry(upstream)) as channel:
        told = []
        async with aclosing(channel.exchange(RELAY, given(), timeout=30)) as answer:
            async for message in answer:
                told.append(message)
        assert told[0].status == 413
        assert b"".join(told[1:]) == b"no"
        # Half a request is on the connection: nobody else's may follow it.
        await asyncio.wait_for(upstream.requests[0].left.wait(), 10)


async def test_an_answer_that_breaks_off_is_no_whole_one(transport, upstream):
    async def cut(request):
        await request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        request.writer.close()

    upstream.usual = cut
    async with opened(transport, entry(upstream)) as channel:
        with pytest.raises(errors.UpstreamFailed):
            await passed(channel, head())
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("wait", ["answer_timeout", "idle_timeout"])
async def test_silence_ends_it(transport, upstream, wait):
    async def silent(request):
        if wait == "idle_timeout":
            await request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        await request.gone()

    upstream.usual = silent
    async with opened(transport, entry(upstream, raw={"paths": PATHS, wait: "100ms"})) as channel:
        with pytest.raises(errors.UpstreamTimeout):
            await passed(channel, head())
    await asyncio.wait_for(upstream.requests[0].left.wait(), 30)


async def test_the_head_alone_and_answers_without_a_body(transport, upstream):
    upstream.answers.append(answering(b"x" * 9))
    upstream.answers.append(answering(b"", "204 No Content"))
    upstream.answers.append(answering(b"", "302 Found", "Location: http://elsewhere/\r\n"))
    async with opened(transport, entry(upstream)) as channel:
        told, body = await passed(channel, head(method="HEAD"))
        assert (told.status, told.length, body) == (200, 9, b"")
        told, body = await passed(channel, head())
        assert (told.status, body) == (204, b"")
        told, body = await passed(channel, head())
        assert told.status == 302
    assert [request.headers.get("content-length") for request in upstream.requests] == [None] * 3


async def test_a_body_is_bounded_and_what_it_says_of_itself_must_be_true(transport, upstream):
    raw = {"paths": PATHS, "max_request_bytes": 4}
    async with opened(transport, entry(upstream, raw=raw)) as channel:
        with pytest.raises(errors.InvalidRequest, match="larger than 4 bytes"):
            await passed(channel, head("/any/x", "POST", length=None), b"abc", b"de")
    async with opened(transport, entry(upstream)) as channel:
        with pytest.raises(errors.InvalidRequest, match="said that it has 9"):
            await passed(channel, head("/any/x", "POST", length=9), b"abc")


async def test_nothing_goes_beyond_what_a_body_says_of_itself(transport, upstream):
    """The upstream would take it for a request of its own, with our key, and on any path."""
    smuggled = b"DELETE /admin HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    async with opened(transport, entry(upstream)) as channel:
        with pytest.raises(errors.InvalidRequest, match="more than 3 bytes"):
            await passed(channel, head("/any/x", "POST", length=3), b"abc" + smuggled)
        with pytest.raises(errors.InvalidRequest, match="more than 3 bytes"):
            await passed(channel, head("/any/x", "POST", length=3), b"ab", b"c" + smuggled)
    assert not any(sent.method == "DELETE" for sent in upstream.requests)


async def test_each_has_a_connection_of_its_own(transport, upstream):
    upstream.usual = answering(b"x", lines="Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Kept: 2\r\n")
    async with opened(transport, entry(upstream)) as channel:
        heads = [(await passed(channel, head("/any/x", "POST", length=1), b"a"))[0] for _ in range(3)]
    ports = {sent.writer.get_extra_info("peername") for sent in upstream.requests}
    assert len(ports) == len(heads)
    names = {name for told in heads for name, _ in told.headers}
    assert "x-kept" in names
    assert not {"x-hop", "connection"} & names


async def test_an_upstreams_places_are_given_back(transport, upstream):
    upstream.answers.extend([answering(b"x"), answering(b"no", "500 Oops"), answering(b"x")])

    async def cut(request):
        request.writer.close()

    limited = entry(upstream, limits={"concurrent_requests": 1, "wait": "10ms"})
    async with opened(transport, limited) as channel:
        for status in (200, 500, 200):
            assert (await passed(channel, head()))[0].status == status
        upstream.usual = cut
        for _ in range(2):
            with pytest.raises(errors.UpstreamFailed):
                await passed(channel, head())


async def test_an_empty_piece_does_not_end_a_body(transport, upstream):
    upstream.usual = answering(b"")
    async with opened(transport, entry(upstream)) as channel:
        await passed(channel, head("/any/x", "POST", length=None), b"abc", b"", b"def")
    assert [sent.body for sent in upstream.requests] == [b"abcdef"]


@pytest.mark.parametrize(
    "name", ["X-HTTP-Method-Override", "x-method-override", "x-original-url", "x-rewrite-url", "openai-project"]
)
async def test_no_header_asks_for_another_request(transport, upstream, name):
    upstream.usual = answering(b"")
    async with opened(transport, entry(upstream)) as channel:
        await passed(channel, head("/any/x", "GET", headers=((name, "DELETE"), ("x-kept", "1"))))
    (sent,) = upstream.requests
    assert name.lower() not in sent.headers
    assert sent.headers["x-kept"] == "1"


async def test_what_fails_the_callers_body_is_what_the_caller_sees(transport, upstream):
    async def given():
        yield head("/any/x", "POST", length=None)
        yield b"abc"
        raise errors.InvalidRequest("the body broke")

    async def wait(request):
        await request.read()

    upstream.usual = wait
    async with opened(transport, entry(upstream)) as channel:
        with pytest.raises(errors.InvalidRequest, match="the body broke"):
            async with aclosing(channel.exchange(RELAY, given())) as answer:
                async for _ in answer:
                    pass


async def test_nobody_there_is_an_upstream_that_failed(transport):
    async with PlainUpstream() as gone:
        there = entry(gone)
    async with opened(transport, there) as channel:
        with pytest.raises(errors.UpstreamFailed):
            await passed(channel, head())
