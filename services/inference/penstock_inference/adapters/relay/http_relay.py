"""Passes one request to an upstream over HTTP, its body as it comes, and the answer back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from penstock_common.contract.relay import RelayRequestHead, RelayResponse, RelayResponseHead
from penstock_common.errors import InvalidRequest, UpstreamFailed, UpstreamTimeout
from penstock_common.http.address import Address, parse_address
from penstock_common.http.body import ArrivingBody
from penstock_common.http.client import HttpPools
from penstock_common.http.failures import ConnectFailed, ConnectTimedOut, HttpFailure, TlsFailed
from penstock_common.http.passing import may_come_back, may_pass_on, named_by_connection
from penstock_common.http.request_head import RequestHead
from penstock_common.http.response import Response
from penstock_inference.domain.relay_upstream import UpstreamNotReached

_USER_AGENT = "penstock"


@dataclass(frozen=True, slots=True)
class RelayTimes:
    """How long is waited: for a connection, for the answer's head once the request is sent, for each piece of it."""

    connect: timedelta
    head: timedelta
    idle: timedelta


class HttpRelay:
    """Implements ``RelayUpstream``."""

    def __init__(
        self, client: HttpPools, base_url: str, key_headers: Mapping[str, str], name: str, times: RelayTimes
    ) -> None:
        """Take the upstream; ``key_headers`` say who we are.

        Raises:
            ValueError: if the URL is none, or the key cannot stand in a header.
        """
        base = parse_address(base_url)
        # A key that cannot be said is found here, and not by the first request.
        RequestHead("GET", base, key_headers)
        self._base = base
        self._prefix = base.target.partition("?")[0].rstrip("/")
        self._keys = dict(key_headers)
        self._name = name
        self._times = times
        self.pool = client.pool(base.origin)

    async def exchange(self, head: RelayRequestHead, pieces: AsyncIterator[bytes]) -> AsyncGenerator[RelayResponse]:
        """Yield the answer as it comes; see the port."""
        loop = asyncio.get_running_loop()
        request, body = self._request(head), _body_of(head)
        asking = loop.create_task(self.pool.request_once(request, body, self._times.connect.total_seconds()))
        feeding = loop.create_task(_feed(pieces, body))
        response: Response | None = None
        try:
            response = await self._head(asking, feeding)
            has_body = head.place.method != "HEAD"
            yield _head_of(response)
            while has_body and (data := await self._piece(response, feeding)):
                yield data
        finally:
            feeding.cancel()
            asking.cancel()
            if response is None and _has_answered(asking):
                response = asking.result()
            # Before anything is waited for: whoever is cancelled once more meanwhile comes no further.
            if response is not None:
                response.release()
            await asyncio.wait((feeding, asking))
            _seen(feeding, asking)

    def _request(self, head: RelayRequestHead) -> RequestHead:
        place = head.place
        target = f"{self._prefix}{place.path}" + (f"?{head.query}" if head.query else "")
        named = named_by_connection(",".join(value for name, value in head.headers if name == "connection"))
        headers: dict[str, str] = {"user-agent": _USER_AGENT}
        for name, value in head.headers:
            lower = name.lower()
            if may_pass_on(lower) and lower not in named:
                headers[lower] = f"{headers[lower]}, {value}" if lower in headers and lower != "user-agent" else value
        for name in self._keys:
            headers.pop(name.lower(), None)
        try:
            # What the address itself says is in the keys' place where there are none.
            return RequestHead(
                place.method, Address(self._base.origin, target, self._base.authorization), {**headers, **self._keys}
            )
        except ValueError as error:
            raise InvalidRequest(f"The request's head cannot be passed on: {error}.") from None

    async def _head(self, asking: asyncio.Task[Response], feeding: asyncio.Task[None]) -> Response:
        """Return the answer, whose head has come; its time begins once the whole request is on its way."""
        while not asking.done():
            if feeding.done():
                feeding.result()
                await asyncio.wait((asking,), timeout=self._times.head.total_seconds())
                if not asking.done():
                    raise UpstreamTimeout(f"{self._name}: no response in time", upstream=self._name, stage="headers")
            else:
                # Who sends a request bounds the time that takes.
                await asyncio.wait((asking, feeding), return_when=asyncio.FIRST_COMPLETED)
        try:
            return asking.result()
        except HttpFailure as error:
            if feeding.done() and not feeding.cancelled() and (failure := feeding.exception()) is not None:
                raise failure from None
            raise self._failure(error) from error

    async def _piece(self, response: Response, feeding: asyncio.Task[None]) -> bytes:
        try:
            async with asyncio.timeout(self._times.idle.total_seconds()):
                return await response.read()
        except TimeoutError:
            raise UpstreamTimeout(f"{self._name}: the upstream stalled", upstream=self._name, stage="idle") from None
        except HttpFailure as error:
            if feeding.done() and not feeding.cancelled() and (failure := feeding.exception()) is not None:
                raise failure from None
            raise self._failure(error) from error

    def _failure(self, error: HttpFailure) -> UpstreamFailed | UpstreamTimeout:
        if isinstance(error, ConnectTimedOut):
            return UpstreamTimeout(f"{self._name}: no connection in time", upstream=self._name, stage="connect")
        if isinstance(error, ConnectFailed | TlsFailed):
            return UpstreamNotReached(f"{self._name}: no connection to the upstream", upstream=self._name)
        return UpstreamFailed(f"{self._name}: the exchange with the upstream failed", upstream=self._name)


def _body_of(head: RelayRequestHead) -> ArrivingBody | None:
    if head.length == 0 and head.place.method not in ("POST", "PUT", "PATCH"):
        return None
    return ArrivingBody(head.length)


async def _feed(pieces: AsyncIterator[bytes], body: ArrivingBody | None) -> None:
    """Put the pieces of a request into its body; where it cannot be had, end the exchange."""
    if body is None:
        return
    try:
        async for piece in pieces:
            # An empty one would be the end of a body in chunks.
            if not piece:
                continue
            _check_room(body, piece)
            if not await body.put(piece):
                return
        _check_length(body)
        body.end()
    except BaseException:
        body.stop()
        raise


def _check_room(body: ArrivingBody, piece: bytes) -> None:
    if body.length is not None and body.put_bytes + len(piece) > body.length:
        # The upstream would take what goes beyond for a request of its own.
        raise InvalidRequest(f"The body has more than {body.length} bytes, and said that it has so many.")


def _check_length(body: ArrivingBody) -> None:
    if body.length is not None and body.put_bytes != body.length:
        raise InvalidRequest(f"The body has {body.put_bytes} bytes, and said that it has {body.length}.")


def _head_of(response: Response) -> RelayResponseHead:
    headers = response.headers
    length = headers.get("content-length", "")
    return RelayResponseHead(response.status, may_come_back(headers), int(length) if length.isdecimal() else None)


def _has_answered(asking: asyncio.Task[Response]) -> bool:
    return asking.done() and not asking.cancelled() and asking.exception() is None


def _seen(*tasks: asyncio.Task[object]) -> None:
    """Look at what became of tasks that nobody waits for."""
    for task in tasks:
        if not task.cancelled():
            task.exception()
