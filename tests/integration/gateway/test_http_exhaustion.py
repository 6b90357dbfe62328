"""What one key sends cannot take the process down: bodies are bounded before they are decoded, refusals are counted."""

from __future__ import annotations

import asyncio
import gc
import json
from contextlib import asynccontextmanager

import pytest

from penstock_common.errors import InvalidRequest, ModelNotFound
from penstock_common.testing.garbage import uncollected

MIB = 1024 * 1024
MANY = 150_000
"""More than the default bound of elements."""


def chat(members=b"", messages=b'[{"role":"user","content":"Hi"}]', model=b"fast"):
    return b'{"model":"' + model + b'","messages":' + messages + members + b"}"


def many(item, count=MANY):
    return b",".join([item] * count)


def many_names(value=b"1", count=MANY):
    return b",".join(b'"n%d":%b' % (number, value) for number in range(count))


@pytest.fixture
def document(document):
    """Models with room for long prompts."""
    for upstream in document["upstreams"]:
        upstream["models"][0]["context_window"] = 100_000_000
    return document


def refused(answered):
    assert answered.error["type"] == "invalid_request_error"
    return answered.status, answered.error["message"]


@asynccontextmanager
async def connected(suite):
    reader, writer = await asyncio.open_unix_connection(suite.http_socket, limit=64 * MIB)
    try:
        yield reader, writer
    finally:
        writer.close()


def head(length, key, path="/v1/chat/completions", extra=""):
    lines = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n{extra}\r\n"
    return lines.encode()


async def answer_of(reader):
    """Return the status and the error's code of the next answer."""
    status = int((await reader.readline()).split()[1])
    headers = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in headers.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return status, json.loads(await reader.readexactly(length)), headers


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(lambda: chat(messages=b"[" + many(b'{"role":"user","content":""}') + b"]"), id="turns"),
        pytest.param(lambda: chat(messages=b'[{"content":[' + many(b"{}") + b"]}]"), id="parts"),
        pytest.param(lambda: chat(b"," + many_names()), id="members"),
        pytest.param(lambda: chat(b"," + many(b'"a":1')), id="one member many times"),
        pytest.param(lambda: chat(b',"stop":[' + many(b'"a"') + b"]"), id="stop"),
        pytest.param(lambda: chat(b',"logit_bias":{' + many_names() + b"}"), id="logit_bias"),
        pytest.param(lambda: chat(b',"metadata":{' + many_names(b'""') + b"}"), id="metadata"),
        pytest.param(lambda: chat(b',"tools":[' + many(b"{}") + b"]"), id="tools"),
        pytest.param(lambda: chat(b',"x":[' + many(b"[]") + b"]"), id="an unknown member"),
        pytest.param(
            lambda: chat(b',"tools":[{"function":{"parameters":{"enum":[' + many(b"1") + b"]}}}]"), id="a schema"
        ),
        pytest.param(lambda: b"[" + many(b"1"), id="no object, and no end"),
    ],
)
async def test_body_of_too_many_elements_is_refused_before_anything_is_made_of_it(suite, upstream, body):
    status, message = refused(await suite.post(body()))
    assert status == 400
    assert "more than 100000 JSON elements (gateway.max_body_elements)" in message
    assert not upstream.requests
    assert (await suite.ask()).status == 200


async def test_other_formats_are_bounded_alike(suite):
    for path, body in (
        ("/v1/embeddings", b'{"model":"m","input":[' + many(b'"a"') + b"]}"),
        ("/v1/completions", b'{"model":"fast","prompt":[' + many(b'"a"') + b"]}"),
    ):
        answered = await suite.request(
            "POST", path, data=body, headers={"authorization": f"Bearer {suite.KEY}"}
        )  # fmt: skip
        assert "JSON elements" in refused(answered)[1]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (chat(b',"x":' + b"[" * 65 + b"]" * 65), "deeper than 64 levels"),
        (chat(b',"x":' + b'{"a":' * 70 + b"1" + b"}" * 70), "deeper than 64 levels"),
        (chat(b',"x":' + b"[" * 90_000 + b"]" * 90_000), "deeper than 64 levels"),
        (b"[" * 90_000, "must be an object"),
        (chat(b',"seed":' + b"1" * MIB), "at most 64 bits"),
        (chat(b',"seed":1e400'), "seed"),
        (chat(b"," + many_names(count=300)), "at most 256"),
        (b" " * MIB, "empty"),
        (b"\x00" * MIB, "malformed"),
        (chat(b',"' + b"k" * MIB + b'":1'), "at most 262144 bytes"),
    ],
    ids=[
        "arrays",
        "objects",
        "very deep",
        "without end",
        "digits",
        "exponent",
        "members",
        "spaces",
        "zeros",
        "long name",
    ],
)
async def test_other_bodies_that_cost_much_and_mean_nothing_are_refused(suite, body, words):
    status, message = refused(await suite.post(body))
    assert (status, words in message) == (400, True), message


@pytest.mark.parametrize(
    "text",
    ["[{, " * 300_000, '"\\' * 300_000, "\\" * 300_001, '\\"[' * 200_000, "🙂,[" * 100_000],
    ids=["brackets", "quotes", "backslashes", "all", "beyond the basic plane"],
)
async def test_long_text_is_one_element_whatever_stands_in_it(suite, upstream, text):
    assert (await suite.ask(text)).status == 200
    assert json.loads(upstream.requests[-1].raw_body)["messages"][0]["content"] == text


async def test_large_image_is_taken(suite, upstream):
    url = "data:image/png;base64," + "A" * 20 * MIB
    content = [{"type": "image_url", "image_url": {"url": url}}]
    answered = await suite.ask(messages=[{"role": "user", "content": content}])
    assert answered.status == 200
    assert len(upstream.requests[-1].raw_body) > 20 * MIB
    assert suite.gateway._door.held_bytes == 0


@pytest.mark.parametrize("wrong", [chat(b',"x":[' + many(b"1") + b"]"), chat(model=b"nope"), b"[]"])
async def test_what_was_refused_is_not_kept(suite, wrong):
    def refusals():
        return sum(isinstance(kept, InvalidRequest | ModelNotFound) for kept in gc.get_objects())

    with uncollected():
        assert (await suite.post(wrong)).status in (400, 404)
        assert refusals() == 0


async def test_bounds_are_settings(serve, document):
    document["gateway"] |= {"max_body_elements": 10, "max_body_depth": 4}
    suite = await serve()
    assert (await suite.ask()).status == 200
    assert "more than 10 JSON elements" in refused(await suite.ask(stop=["a"] * 11))[1]
    assert "deeper than 4 levels" in refused(await suite.post(b"[[[[[]]]]]"))[1]


async def test_key_that_is_refused_again_and_again_is_refused_before_its_body_is_read(serve, document):
    document["gateway"]["refusals_per_minute"] = 5
    suite = await serve()
    codes = [(await suite.ask(key=suite.FREE_KEY)).status for _ in range(8)]
    assert codes == [200] * 3 + [429] * 5
    async with connected(suite) as (reader, writer):
        writer.write(head(30 * MIB, suite.FREE_KEY, extra="expect: 100-continue\r\n"))
        status, body, headers = await answer_of(reader)
    assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")
    assert "5 are allowed" in body["error"]["message"]
    assert b"\r\nretry-after:" in headers
    assert b"\r\nconnection: close\r\n" in headers
    # One who sends regardless is told the same, and can read it.
    assert (await suite.post(b" " * 30 * MIB, key=suite.FREE_KEY)).status == 429
    # Its neighbours notice nothing.
    assert (await suite.ask()).status == 200


@pytest.mark.parametrize("bad", [b"[]", b"", b'{"model":"nope","messages":[{"role":"user","content":"a"}]}'])
async def test_bodies_that_are_refused_are_counted_and_use_up_no_allowance(serve, document, bad):
    document["gateway"]["refusals_per_minute"] = 10
    suite = await serve()
    for _ in range(5):
        assert (await suite.post(bad, key=suite.FREE_KEY)).status in (400, 404)
    remaining = [(await suite.ask(key=suite.FREE_KEY)).header["x-ratelimit-remaining-requests"] for _ in range(3)]
    assert remaining == ["2", "1", "0"]
    for _ in range(5):
        await suite.post(bad, key=suite.FREE_KEY)
    assert "10 are allowed" in (await suite.post(bad, key=suite.FREE_KEY)).error["message"]


async def test_unknown_model_says_that_the_allowance_is_whole(suite):
    answered = await suite.ask(model="nope", key=suite.FREE_KEY)
    assert (answered.status, answered.header["x-ratelimit-remaining-requests"]) == (404, "3")


async def test_bodies_that_are_read_at_once_are_bounded_for_a_key_and_others_are_served(serve, document):
    document["gateway"] |= {"max_held_body_bytes": 2 * MIB, "key_share": 0.5, "tenant_share": 0.5}
    suite = await serve()
    body = chat(messages=b'[{"role":"user","content":"' + b"a" * MIB + b'"}]')
    async with connected(suite) as (_, slow), connected(suite) as (reader, second):
        slow.write(head(len(body), suite.KEY) + body[:-100_000])
        await until(lambda: suite.gateway._door.held_bytes >= len(body) - 100_000)
        second.write(head(len(body), suite.KEY) + body)
        status, told, headers = await answer_of(reader)
        assert (status, told["error"]["type"]) == (429, "rate_limit_error")
        # One that says how long it is is not even read.
        async with connected(suite) as (third_reader, third):
            third.write(head(len(body), suite.KEY, extra="expect: 100-continue\r\n"))
            assert (await answer_of(third_reader))[0] == 429
        assert b"\r\nretry-after:" in headers
        # Small ones need no room, and other tenants have theirs.
        assert (await suite.ask()).status == 200
        assert (await suite.post(body, key=suite.OTHER_KEY)).status == 200
    await until(lambda: suite.gateway._door.held_bytes == 0)
    assert (await suite.post(body)).status == 200


async def test_process_holds_no_more_bodies_than_it_can(serve, document):
    document["gateway"] |= {"max_held_body_bytes": MIB, "key_share": 1, "tenant_share": 1}
    suite = await serve()
    body = chat(messages=b'[{"role":"user","content":"' + b"a" * (MIB - 100) + b'"}]')
    async with connected(suite) as (_, slow):
        slow.write(head(len(body), suite.KEY) + body[:-100])
        await until(lambda: suite.gateway._door.held_bytes >= len(body) - 100)
        answered = await suite.post(body, key=suite.OTHER_KEY)
        assert (answered.status, answered.error["code"]) == (503, "overloaded")
    await until(lambda: suite.gateway._door.held_bytes == 0)


async def test_announcing_a_body_holds_nothing(suite):
    async with connected(suite) as (_, writer):
        writer.write(head(30 * MIB, suite.KEY) + b"{")
        await until(lambda: suite.gateway._door.in_flight == 1)
        assert suite.gateway._door.held_bytes == 0
    await until(lambda: suite.gateway._door.in_flight == 0)


async def test_tenant_has_its_share_of_the_places_from_the_head_on(serve, document):
    document["gateway"] |= {"max_in_flight": 4, "tenant_share": 0.5, "key_share": 0.5}
    suite = await serve()
    async with connected(suite) as (_, first), connected(suite) as (_, second):
        for writer in (first, second):
            writer.write(head(100, suite.KEY))
        await until(lambda: suite.gateway._door.in_flight == 2)
        answered = await suite.ask()
        assert (answered.status, answered.error["code"]) == (429, "rate_limit_exceeded")
        assert "its share" in answered.error["message"]
        assert (await suite.ask(key=suite.OTHER_KEY)).status == 200
    await until(lambda: suite.gateway._door.in_flight == 0)
    assert (await suite.ask()).status == 200


async def until(is_so):
    """Wait until something is so; the deadline only matters where it never is."""
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.01)
