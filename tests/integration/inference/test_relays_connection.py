"""A relay's connection is given back whatever ends the exchange, and however often."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from penstock_common.contract.relay import RelayPlace, RelayRequestHead
from penstock_common.http.client import HttpClient
from penstock_common.testing.plain_upstream import PlainUpstream
from penstock_inference.adapters.relay.http_relay import HttpRelay, RelayTimes

TIMES = RelayTimes(connect=timedelta(seconds=5), head=timedelta(seconds=20), idle=timedelta(seconds=20))


async def test_who_is_cancelled_once_more_has_given_the_connection_back():
    """The second time it waits for who reads the caller's body, and that one takes its time to end."""
    begun, reading, may_end, left = (asyncio.Event() for _ in range(4))

    async def behave(request):
        await request.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        await request.gone()
        left.set()

    async def pieces():
        try:
            yield b"abc"
            await asyncio.Event().wait()
        finally:
            reading.set()
            await may_end.wait()

    head = RelayRequestHead(RelayPlace("one", "POST", "/x", ()), "", (), None)
    async with PlainUpstream() as upstream, HttpClient() as client, asyncio.timeout(20):
        upstream.usual = behave
        relay = HttpRelay(client, upstream.url, {}, "one", TIMES)

        async def ask():
            async for _ in relay.exchange(head, pieces()):
                begun.set()

        asking = asyncio.ensure_future(ask())
        await begun.wait()
        asking.cancel()
        await reading.wait()
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        await left.wait()
        may_end.set()
