"""How a request can fail before, or while, a handler has it."""

from __future__ import annotations

from penstock_common.errors import InvalidRequest


class BodyTooLarge(InvalidRequest):
    """The body is larger than the limit; HTTP calls it 413."""


class UnsupportedEncoding(InvalidRequest):
    """The body is compressed in a way that is not undone here; HTTP calls it 415."""


class BodyTooSlow(InvalidRequest):
    """The body did not arrive in time; HTTP calls it 408."""


class Refused(Exception):
    """What the client sent is no request, or one beyond a limit: answered with ``status``, then the connection ends."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
