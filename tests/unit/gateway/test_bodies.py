"""Where bodies are read: small ones at once, large ones beside the loop, none before it was looked at."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from penstock_common.errors import InvalidRequest
from penstock_gateway.surfaces.wire_formats.bodies import LARGE_BYTES, Bodies
from penstock_gateway.surfaces.wire_formats.body_bounds import BodyBounds

SMALL = b'{"a":"b"}'
LARGE = b'{"a":"' + b"b" * LARGE_BYTES + b'"}'
PATIENCE_SECONDS = 20


class Request:
    deployment = ""

    def __init__(self, body):
        self._body = body

    async def body(self, room):
        return self._body


class Place:
    held = 0

    def hold(self, size_bytes):
        self.held = size_bytes


@pytest.fixture
def bodies():
    with ThreadPoolExecutor(1) as readers:
        yield Bodies(BodyBounds(max_elements=10, max_depth=3), readers)


async def test_small_body_is_read_where_it_is(bodies):
    thread = await bodies.read(Request(SMALL), Place(), lambda body: threading.current_thread())
    assert thread is threading.main_thread()


async def test_loop_goes_on_while_a_large_body_is_read_and_small_ones_are_read_meanwhile(bodies):
    begun, may_end = threading.Event(), threading.Event()

    def parse(body):
        begun.set()
        assert may_end.wait(PATIENCE_SECONDS), "the loop stood still"
        return len(body)

    large = asyncio.create_task(bodies.read(Request(LARGE), Place(), parse))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not begun.is_set():
            await asyncio.sleep(0.001)
    assert await bodies.read(Request(SMALL), Place(), len) == len(SMALL)
    may_end.set()
    assert await large == len(LARGE)


@pytest.mark.parametrize("padding", [b"", b" " * LARGE_BYTES], ids=["small", "large"])
@pytest.mark.parametrize("body", [b"[" + b"1," * 20 + b"1]", b"[[[[1]]]]"], ids=["elements", "depth"])
async def test_body_beyond_a_bound_is_not_read(bodies, body, padding):
    def parse(body):
        raise AssertionError("it was read")

    with pytest.raises(InvalidRequest, match="gateway.max_body_"):
        await bodies.read(Request(padding + body), Place(), parse)


@pytest.mark.parametrize(("letter", "factor"), [(b"b", 0), ("é".encode(), 4)], ids=["ASCII", "other"])
async def test_text_beyond_ascii_is_held_at_what_it_may_take(bodies, letter, factor):
    place, body = Place(), b'"' + letter * LARGE_BYTES + b'"'
    await bodies.read(Request(body), place, len)
    assert place.held == factor * len(body)


async def test_large_body_whose_caller_left_before_its_turn_is_not_read(bodies):
    may_end, read = threading.Event(), []

    def first(body):
        may_end.wait(PATIENCE_SECONDS)

    running = asyncio.create_task(bodies.read(Request(LARGE), Place(), first))
    waiting = asyncio.create_task(bodies.read(Request(LARGE), Place(), read.append))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_end.set()
    await running
    await bodies.read(Request(LARGE), Place(), len)
    assert not read
