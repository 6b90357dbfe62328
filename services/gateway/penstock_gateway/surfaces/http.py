"""The ASGI message loop, reduced to what the wire formats need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from penstock_common.errors import InvalidRequest

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]


class BodyTooLarge(InvalidRequest):
    """The body is larger than the limit; HTTP calls it 413."""


class ClientGone(Exception):
    """The client left before its request was complete."""


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the request's headers by lower-case name; of a repeated one the first counts."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return headers


def peer_of(scope: Scope) -> str:
    """Return the address at the connection's other end; empty on a unix socket."""
    client = scope.get("client")
    return client[0] if client else ""


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLarge: if it is longer than ``max_bytes``.
        ClientGone: if the client left before its end.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        # The common case: the body came in one piece.
        body: bytes = message.get("body", b"")
        return _bounded(body, max_bytes)
    chunks = bytearray()
    while message["type"] == "http.request":
        chunks += message.get("body", b"")
        _bounded(chunks, max_bytes)
        if not message.get("more_body", False):
            return bytes(chunks)
        message = await receive()
    raise ClientGone


def _bounded(body: Any, max_bytes: int) -> Any:
    if len(body) > max_bytes:
        raise BodyTooLarge(f"The body is larger than {max_bytes} bytes.")
    return body


async def respond(send: Send, status: int, body: bytes, headers: Iterable[Header]) -> None:
    """Send a whole response."""
    head = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def encoded(headers: Iterable[tuple[str, str]]) -> list[Header]:
    """Return headers as ASGI wants them; what is not Latin-1 becomes a question mark."""
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]


@asynccontextmanager
async def cancelled_when_client_leaves(receive: Receive, send: Send) -> AsyncGenerator[Send, None]:
    """Cancel the body of this context as soon as the client's connection ends.

    Yields the ``send`` to use inside: after the last message nobody watches any
    more, since a server reports the end of a response as a disconnect, too.

    Raises:
        ClientGone: instead of the cancellation, once the body has ended.
    """
    task = asyncio.current_task()
    assert task is not None
    left = False

    async def watch() -> None:
        nonlocal left
        while (await receive())["type"] != "http.disconnect":
            pass
        left = True
        task.cancel()

    async def send_watched(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            watcher.cancel()
        await send(message)

    watcher = asyncio.get_running_loop().create_task(watch())
    try:
        yield send_watched
    except asyncio.CancelledError:
        if left and task.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watcher.cancel()
