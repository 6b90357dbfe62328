"""Requests and responses that flow at once: whichever ends first, the other hears of it, and nothing is lost."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

import grpc
import pytest

from penstock_common import errors

LARGE = "x" * 65_536


class Body:
    """Requests: a first one, then silence, or more than anybody reads."""

    def __init__(self, note, kind):
        self._note = note
        self._kind = kind
        self.ended = False

    async def notes(self):
        try:
            yield self._note("first")
            if self._kind == "silent":
                await asyncio.Event().wait()
            while True:
                yield self._note(LARGE)
                await asyncio.sleep(0)
        finally:
            self.ended = True


@pytest.fixture(params=["silent", "flooding"])
def body(request, note):
    return Body(note, request.param)


async def read(client, body, **options):
    """Return the responses, read slowly, and close both sides as a surface does: the answer, then the body."""
    told = []
    notes = body.notes()
    async with asyncio.timeout(60), aclosing(notes), aclosing(client.talk(notes, **options)) as responses:
        async for response in responses:
            told.append(response.text)
            await asyncio.sleep(0.001)
    return told


async def pieces(note, requests, count=5):
    assert (await anext(aiter(requests))).text == "first"
    for number in range(count):
        yield note(str(number))


async def test_an_answer_may_end_before_the_requests(served, note, body):
    async def early(requests, call):
        async for response in pieces(note, requests):
            yield response

    async with served(duplex=early) as client:
        for _ in range(10):
            body.ended = False
            assert await read(client, body) == ["0", "1", "2", "3", "4"]
            assert body.ended


async def test_a_read_that_was_given_up_loses_nothing(served, note, body):
    async def early(requests, call):
        assert (await anext(aiter(requests))).text == "first"
        reading = asyncio.ensure_future(anext(requests))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait((reading,))
        yield note("0")

    async with served(duplex=early) as client:
        assert await read(client, body) == ["0"]
    assert body.ended


async def test_a_failure_may_come_before_the_requests_end(served, note, body):
    async def early(requests, call):
        async for response in pieces(note, requests, 1):
            yield response
        raise errors.ResourceNotFound("no such thing", kind="thing", name="x")

    async with served(duplex=early) as client:
        for _ in range(10):
            with pytest.raises(errors.ResourceNotFound, match="no such thing"):
                await read(client, body)
            assert body.ended


async def test_time_runs_out_though_requests_are_sent(served, note, body):
    async def deaf(requests, call):
        await anext(aiter(requests))
        yield note("0")
        await asyncio.Event().wait()

    async with served(duplex=deaf) as client:
        for _ in range(3):
            with pytest.raises(errors.DeadlineExceeded):
                await read(client, body, timeout=0.1)
            assert body.ended


async def test_who_leaves_has_their_requests_back(served, note, body):
    async def deaf(requests, call):
        await anext(aiter(requests))
        yield note("0")
        await asyncio.Event().wait()

    async with served(duplex=deaf) as client:
        notes = body.notes()
        async with asyncio.timeout(60), aclosing(notes), aclosing(client.talk(notes)) as responses:
            assert (await anext(aiter(responses))).text == "0"
        assert body.ended


async def test_all_requests_are_read_and_none_after_the_last(served, note):
    async def echo(requests, call):
        async for request in requests:
            yield request
        with pytest.raises(StopAsyncIteration):
            await anext(requests)

    async def given():
        for number in range(20):
            yield note(str(number))

    async with served(duplex=echo) as client, aclosing(client.talk(given())) as responses:
        assert [response.text async for response in responses] == [str(number) for number in range(20)]


async def test_what_fails_the_requests_is_what_the_caller_sees(served, note):
    async def echo(requests, call):
        async for request in requests:
            yield request

    async def given():
        yield note("0")
        raise errors.InvalidRequest("the body broke")

    async with served(duplex=echo) as client:
        with pytest.raises(errors.InvalidRequest, match="the body broke"):
            async with aclosing(client.talk(given())) as responses:
                async for _ in responses:
                    pass


@pytest.mark.parametrize("fails", [False, True])
async def test_who_does_not_hear_the_end_is_waited_for_only_so_long(served_by_socket, note, fails):
    async def early(requests, call):
        await anext(aiter(requests))
        yield note("0")
        if fails:
            raise errors.ResourceNotFound("no such thing", kind="thing", name="x")

    async with served_by_socket(duplex=early, write_timeout=timedelta(milliseconds=100)) as client:
        method = client.talk_method
        call = client.grpc.stream_stream(method.path)(timeout=60)
        await call.write(method.request.encode(note("first")))
        assert method.response.decode(await call.read()) == note("0")
        # The end of the answer; this caller does not know it.
        assert await call.read() == b""
        assert await call.code() is (grpc.StatusCode.NOT_FOUND if fails else grpc.StatusCode.OK)
