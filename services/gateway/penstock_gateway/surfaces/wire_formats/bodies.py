"""Reads requests' bodies for every format: bounded before they are decoded, the large ones beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

import msgspec

from penstock_gateway.domain.life.door import Place
from penstock_gateway.surfaces.http1.messages import HttpRequest
from penstock_gateway.surfaces.wire_formats.body_bounds import BodyBounds
from penstock_gateway.surfaces.wire_formats.json_body import with_model

ReadT = TypeVar("ReadT")

# A body of so many bytes is read in the time that handing it to a thread and back would take, or a few of those.
LARGE_BYTES = 256 * 1024
# One character beyond the basic plane makes four bytes of each of the text's (PEP 393).
_MOST_BYTES_PER_CHARACTER = 4


def _naming(model: str, parse: Callable[[bytes], ReadT]) -> Callable[[bytes], ReadT]:
    """Return what reads a body as if it had named the model that its path names."""
    return lambda body: parse(with_model(body, model))


class Bodies(msgspec.Struct, frozen=True):
    """Reads bodies within ``bounds``; the large ones by ``readers``, few of them at a time, in their order.

    A decoder keeps the interpreter to itself while it runs, in a thread too.
    The loop's longest wait is therefore one step of it: bounded by elements,
    and by bytes (30 MiB of escaped text take some 50 ms).
    """

    bounds: BodyBounds
    readers: Executor

    async def read(self, request: HttpRequest, place: Place, parse: Callable[[bytes], ReadT]) -> ReadT:
        """Return what ``parse`` makes of the request's body, which the place holds from its first bytes on.

        Raises:
            PenstockError: if it cannot be had, breaks a bound, or is not what ``parse`` reads.
        """
        body = await request.body(place)
        if request.deployment:
            parse = _naming(request.deployment, parse)
        if len(body) <= LARGE_BYTES:
            self.bounds.check(body)
            return parse(body)
        if not body.isascii():
            place.hold(_MOST_BYTES_PER_CHARACTER * len(body))
        return await asyncio.get_running_loop().run_in_executor(self.readers, self._read, body, parse)

    async def read_again(self, place: Place, content: bytes, parse: Callable[[bytes], ReadT]) -> ReadT:
        """Return what ``parse`` makes of what a request is asked with besides its body.

        Raises:
            PenstockError: if there is no room for it, it breaks a bound, or is not what ``parse`` reads.
        """
        if len(content) <= LARGE_BYTES:
            return self._read(content, parse)
        place.hold(len(content) if content.isascii() else _MOST_BYTES_PER_CHARACTER * len(content))
        return await asyncio.get_running_loop().run_in_executor(self.readers, self._read, content, parse)

    def _read(self, body: bytes, parse: Callable[[bytes], ReadT]) -> ReadT:
        self.bounds.check(body)
        return parse(body)
