"""What a handler gets of a request, and a client of an answer."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from .conftest import head, until

WHOLE = head("POST", "/echo", "content-length: 5") + b"hello"
CHUNKED = head("POST", "/echo", "transfer-encoding: chunked") + b"2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\ntrailer: x\r\n\r\n"


@pytest.mark.parametrize("sent", [WHOLE, CHUNKED], ids=["length", "chunks"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_request_may_come_in_pieces_of_any_size(client, application, sent, size):
    for start in range(0, len(sent), size):
        client.send(sent[start : start + size])
        await asyncio.sleep(0)
    answered = await client.answer()
    assert (answered.status, answered.body) == (200, b"hello")
    (request,) = application.seen
    assert (request.method, request.path) == ("POST", "/echo")


async def test_headers_are_by_lower_case_name_and_the_first_of_a_repeated_one_counts(client, application):
    client.get(
        "/", "X-One: first", "x-one: second", "x-two: a", "x-two: b", "Empty:", "x-latin: \xe9", "x-Spaced:  b\tc"
    )
    assert (await client.answer()).status == 200
    headers = application.seen[0].headers
    assert headers == {"host": "x", "x-one": "first", "x-two": "a", "empty": "", "x-latin": "\xe9", "x-spaced": "b\tc"}


async def test_headers_of_one_request_are_not_the_next_ones(client, application):
    client.get("/", "x-one: 1")
    await client.answer()
    client.send(CHUNKED)
    await client.answer()
    client.get("/")
    await client.answer()
    assert application.seen[2].headers == {"host": "x"}


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/v1/models/a%20b%2Fc", "/v1/models/a b/c"),
        ("/100%2525", "/100%25"),
        ("/%ff", "/\ufffd"),
        ("/a?b=/c#d", "/a"),
        ("/a#b?c", "/a"),
        ("http://host:1/a?b", "/a"),
        ("HTTP://host", "/"),
        ("https://u@host/%41", "/A"),
        ("//host/a", "//host/a"),
        ("/../a/./b", "/../a/./b"),
    ],
)
async def test_path_is_decoded_once_and_without_the_query(client, application, target, path):
    client.get(target)
    assert (await client.answer()).status == 200
    assert application.seen[0].path == path


@pytest.mark.parametrize("target", ["*", "host:1", "a", "ftp://host/a", "http://"])
async def test_target_that_names_no_path_is_refused(client, application, target):
    client.get(target)
    assert (await client.answer()).status == 400
    assert await client.closed() == b""
    assert application.seen == []


async def test_answers_have_a_date_and_a_length(client):
    client.post("/echo", b"hello")
    answered = await client.answer()
    assert answered.header["content-length"] == "5"
    assert answered.header["x-path"] == "/echo"
    assert abs((parsedate_to_datetime(answered.header["date"]) - datetime.now(UTC)).total_seconds()) < 60
    assert "connection" not in answered.header


async def test_date_moves_on(serve):
    served = await serve()
    first = served.server.standing_lines
    assert re.fullmatch(rb"date: [A-Z].* GMT\r\n", first)
    await until(lambda: served.server.standing_lines != first)


async def test_stream_is_chunked_and_the_connection_goes_on(client):
    for _ in range(2):
        client.get("/stream")
        answered = await client.answer()
        assert answered.header["transfer-encoding"] == "chunked"
        assert answered.body == b"onetwothree"


async def test_head_has_the_head_of_the_answer_and_no_body(client):
    client.send(head("HEAD", "/echo") + head("HEAD", "/stream") + head("GET", "/echo"))
    answered = await client.answer(is_head=True)
    assert (answered.status, answered.header["content-length"]) == (200, "0")
    assert (await client.answer(is_head=True)).header["transfer-encoding"] == "chunked"
    assert (await client.answer()).header["x-path"] == "/echo"


@pytest.mark.parametrize("line", ["connection: close", "Connection: Keep-Alive, Close"])
async def test_client_that_wants_the_connection_closed_gets_that(client, line):
    client.get("/", line)
    answered = await client.answer()
    assert (answered.status, answered.header["connection"]) == (200, "close")
    assert await client.closed() == b""


async def test_old_version_gets_no_chunks_and_a_closed_connection(client):
    client.send(head("GET", "/stream", "connection: keep-alive", version="1.0"))
    answered = await client.answer()
    assert "transfer-encoding" not in answered.header
    assert answered.header["connection"] == "close"
    assert answered.body == b"onetwothree"


async def test_old_version_may_send_a_body(client):
    client.send(head("POST", "/echo", "content-length: 5", version="1.0") + b"hello")
    assert (await client.answer()).body == b"hello"


@pytest.mark.parametrize("line", ["expect: 100-continue", "Expect: 100-Continue"])
async def test_client_that_waits_to_be_asked_for_its_body_is_asked(client, line):
    client.send(head("POST", "/echo", "content-length: 5", line))
    assert (await client.answer()).status == 100
    client.send(b"hello")
    assert (await client.answer()).body == b"hello"


async def test_client_that_does_not_wait_to_be_asked_is_not_asked(client):
    client.post("/echo", b"hello", "expect: 100-continue")
    assert (await client.answer()).status == 200


async def test_client_is_not_asked_for_a_body_that_nobody_wants(client):
    client.send(head("POST", "/unread", "content-length: 5", "expect: 100-continue"))
    answered = await client.answer()
    assert (answered.status, answered.header["connection"]) == (401, "close")
    assert await client.closed() == b""


async def test_old_version_is_never_asked(client):
    client.send(head("POST", "/echo", "content-length: 5", "expect: 100-continue", version="1.0"))
    client.send(b"hello")
    assert (await client.answer()).status == 200


async def test_other_expectations_are_refused(client):
    client.get("/", "expect: tea")
    assert (await client.answer()).status == 417


async def test_upgrade_is_not_taken_up(client, application):
    client.get("/", "connection: upgrade", "upgrade: h2c")
    answered = await client.answer()
    assert (answered.status, answered.header["connection"]) == (200, "close")
    assert await client.closed() == b""
    assert len(application.seen) == 1


async def test_upgrade_beside_a_body_is_refused(client, application):
    client.post("/echo", b"hello", "connection: upgrade", "upgrade: h2c")
    assert (await client.answer()).status == 400
    assert application.seen == []


async def test_connection_to_elsewhere_is_refused(client):
    client.send(b"CONNECT host:443 HTTP/1.1\r\n\r\n")
    assert (await client.answer()).status == 400


async def test_nothing_more_is_taken_behind_a_tunnel_that_is_asked_for(client, application):
    """Who keeps connections, as the edge does, must not take this one for the next caller."""
    client.send(head("CONNECT", "/held") + head("GET", "/stream"))
    application.hold.set()
    answered = await client.answer()
    assert answered.header["connection"] == "close"
    assert await client.closed() == b""
    assert len(application.seen) == 1


async def test_requests_sent_ahead_are_answered_in_order(client, application):
    client.send(head("GET", "/held") + WHOLE + head("GET", "/stream"))
    await until(lambda: application.seen)
    # Whatever is ready to go on does so; the second request is not.
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(application.seen) == 1
    application.hold.set()
    assert [(await client.answer()).body for _ in range(3)] == [b"held", b"hello", b"onetwothree"]


async def test_requests_sent_ahead_while_one_runs_are_answered_in_order(client, application):
    client.get("/held")
    await until(lambda: application.seen)
    for number in range(9):
        client.post("/echo", b"%d" % number)
        await asyncio.sleep(0)
    application.hold.set()
    assert (await client.answer()).body == b"held"
    assert [(await client.answer()).body for _ in range(9)] == [b"%d" % number for number in range(9)]


async def test_a_flood_sent_ahead_is_answered_in_part_and_the_connection_closed(serve, application):
    client = await (await serve(max_waiting_requests=3)).connect()
    client.send(head("GET", "/") * 1000)
    assert [(await client.answer()).header.get("connection") for _ in range(3)] == [None, None, "close"]
    assert await client.closed() == b""
    assert len(application.seen) == 3


@pytest.mark.parametrize(("path", "status"), [("/raises", 500), ("/forgets", 500)])
async def test_failure_of_the_handler_is_told_without_its_words(client, path, status):
    client.get(path)
    answered = await client.answer()
    assert answered.status == status
    assert answered.body == b"Internal error. Give the request id to the operator."
    # It was the request that failed, not the connection.
    client.get("/")
    assert (await client.answer()).status == 200


async def test_answer_that_breaks_in_the_middle_has_no_end(client):
    client.get("/breaks")
    received = await client.closed()
    assert b"begun" in received
    assert not received.endswith(b"0\r\n\r\n")
    assert b"secret" not in received


async def test_requests_do_not_see_each_others_context(client, application):
    from contextvars import ContextVar

    variable = ContextVar("variable", default="")
    found = []

    async def note(request, response):
        found.append(variable.get())
        variable.set(request.path)
        response.whole(200, b"", b"")

    application.note = note
    for _ in range(2):
        client.get("/note")
        await client.answer()
    client.send(head("GET", "/note") * 3)
    for _ in range(3):
        await client.answer()
    assert found == [""] * 5


@pytest.mark.parametrize(("joins", "seen"), [(True, "1.2.3.4,198.51.100.1,10.0.0.1"), (False, "1.2.3.4")])
async def test_every_hop_counts_where_a_chain_of_proxies_is_followed(serve, application, joins, seen):
    client = await (await serve(joins_forwarded=joins)).connect()
    for _ in range(2):
        client.get(
            "/",
            "x-forwarded-for: 1.2.3.4",
            "X-Forwarded-For: 198.51.100.1",
            "x-forwarded-for: 10.0.0.1",
            "a: 1",
            "a: 2",
        )
        assert (await client.answer()).status == 200
        headers = application.seen[-1].headers
        assert (headers["x-forwarded-for"], headers["a"]) == (seen, "1")
