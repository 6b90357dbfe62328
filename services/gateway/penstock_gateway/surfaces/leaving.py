"""Tells whoever shares requests out that this process is about to end."""

from __future__ import annotations

from typing import Any

from penstock_gateway.domain.life.admission import Door
from penstock_gateway.surfaces.http import Message, Receive, Scope, Send

# The edge keeps it to itself, and turns to another gateway.
_LEAVING = (b"x-penstock-leaving", b"1")


class LeavingNotice:
    """An ASGI application around another: marks each response once the process is leaving."""

    def __init__(self, application: Any, door: Door) -> None:
        self._application = application
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._application(scope, receive, _marked(send) if self._door.is_leaving else send)


def _marked(send: Send) -> Send:
    async def send_marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], _LEAVING]}
        await send(message)

    return send_marked
