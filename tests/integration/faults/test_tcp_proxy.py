"""The TCP fault proxy between a plain server and plain clients."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from penstock_faults.tcp import FaultProxy, Faults

PAYLOAD = bytes(range(256)) * 40


@asynccontextmanager
async def echoing():
    """A server that sends back what it gets, and its end once it has got one."""
    ends = asyncio.Queue()

    async def serve(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            ends.put_nowait("end")
            writer.write(b"bye")
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            ends.put_nowait("reset")
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", ends
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def client_of(proxy):
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def test_without_faults_everything_passes_both_ways_to_its_end():
    async with echoing() as (target, ends), FaultProxy(target) as proxy, client_of(proxy) as (reader, writer):
        writer.write(PAYLOAD)
        assert await reader.readexactly(len(PAYLOAD)) == PAYLOAD
        writer.write_eof()
        assert await reader.read() == b"bye"
        assert await ends.get() == "end"


async def test_latency_delays_and_keeps_the_order():
    slow = Faults(latency_seconds=0.1, jitter_seconds=0.05)
    async with echoing() as (target, _), FaultProxy(target, down=slow) as proxy, client_of(proxy) as (reader, writer):
        began = time.monotonic()
        writer.write(PAYLOAD)
        assert await reader.readexactly(len(PAYLOAD)) == PAYLOAD
        assert time.monotonic() - began >= 0.1


async def test_bandwidth_is_a_bound():
    narrow = Faults(bytes_per_second=50_000)
    async with echoing() as (target, _), FaultProxy(target, down=narrow) as proxy, client_of(proxy) as (reader, writer):
        began = time.monotonic()
        writer.write(PAYLOAD)
        assert await reader.readexactly(len(PAYLOAD)) == PAYLOAD
        assert time.monotonic() - began >= len(PAYLOAD) / 50_000


async def test_slices_arrive_whole_and_in_order():
    sliced = Faults(slice_bytes=7)
    async with echoing() as (target, _), FaultProxy(target, up=sliced) as proxy, client_of(proxy) as (reader, writer):
        writer.write(PAYLOAD)
        assert await reader.readexactly(len(PAYLOAD)) == PAYLOAD


@pytest.mark.parametrize("after", [0, 1, 5000])
@pytest.mark.parametrize("by", ["reset", "close"])
async def test_a_cut_comes_after_its_byte(by, after):
    faults = Faults(cut_after_bytes=after, cut_by=by)
    async with (
        echoing() as (target, ends),
        FaultProxy(target, down=faults) as proxy,
        client_of(proxy) as (reader, writer),
    ):
        writer.write(PAYLOAD)
        got = b""
        try:
            while piece := await reader.read(65536):
                got += piece
        except ConnectionError:
            assert by == "reset"
        # A reset may overtake what was on its way.
        assert got == PAYLOAD[: len(got)]
        assert len(got) == after if by == "close" else len(got) <= after
        assert await ends.get() in ("reset", "end")


async def test_a_half_close_ends_one_direction_alone():
    faults = Faults(cut_after_bytes=4, cut_by="half_close")
    async with (
        echoing() as (target, ends),
        FaultProxy(target, up=faults) as proxy,
        client_of(proxy) as (reader, writer),
    ):
        writer.write(b"four and more")
        assert await reader.read() == b"fourbye"
        assert await ends.get() == "end"


async def test_a_black_hole_takes_everything_and_says_nothing():
    faults = Faults(cut_after_bytes=0, cut_by="black_hole")
    async with (
        echoing() as (target, ends),
        FaultProxy(target, up=faults) as proxy,
        client_of(proxy) as (reader, writer),
    ):
        writer.write(PAYLOAD)
        await writer.drain()
        answer = asyncio.ensure_future(reader.read(1))
        async with client_of(proxy):
            # Another connection went all the way meanwhile, so this one would have had its answer.
            await asyncio.sleep(0)
        assert not answer.done()
        assert ends.empty()
        answer.cancel()


async def test_faults_that_are_set_while_it_runs_hold_from_then_on():
    async with echoing() as (target, _), FaultProxy(target) as proxy, client_of(proxy) as (reader, writer):
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        proxy.down = Faults(cut_after_bytes=6, cut_by="close")
        writer.write(b"after")
        assert await reader.read() == b""


async def test_every_connection_can_be_cut_at_once():
    async with echoing() as (target, _), FaultProxy(target) as proxy, client_of(proxy) as (reader, writer):
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        assert proxy.cut() == 1
        with pytest.raises(ConnectionError):
            await reader.readexactly(1)


async def test_nobody_behind_it_is_a_reset():
    async with FaultProxy("127.0.0.1:9") as proxy, client_of(proxy) as (reader, writer):
        writer.write(b"x")
        with pytest.raises(ConnectionError):
            await reader.readexactly(1)
