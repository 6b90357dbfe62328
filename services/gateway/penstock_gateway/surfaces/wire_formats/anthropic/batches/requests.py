"""Reads the requests of a batch as they come, so that never more than one of them is in memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from enum import Enum, auto

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_gateway.surfaces.http1.failures import BodyTooLarge
from penstock_gateway.surfaces.http1.messages import FREE_BYTES
from penstock_gateway.surfaces.wire_formats.json_body import shortened
from penstock_gateway.surfaces.wire_formats.keeping import FormBody

_HEAD = re.compile(rb'\s*\{\s*"((?:[^"\\]|\\.)*)"\s*:\s*\[', re.DOTALL)
_OUTSIDE, _INSIDE = re.compile(rb'["{}]'), re.compile(rb'["\\]')
_OPEN, _CLOSE, _QUOTE = ord("{"), ord("}"), ord('"')
_COMMA, _END = ord(","), ord("]")
_TAIL = re.compile(rb"\s*\}\s*")
_SPACES = re.compile(rb"[ \t\r\n]*")
_MOST_HEAD_BYTES = 1024
"""Before the first request, and behind the last."""
_STEP_BYTES = 16 * 1024
"""That are looked at before others have their turn."""
_COPIES = 3
"""Of a request, while it is read and written."""
_NAME = "requests"


class _At(Enum):
    HEAD = auto()
    FIRST = auto()
    """The array has begun: a request, or its end."""
    REQUEST = auto()
    """Behind a comma: a request."""
    WITHIN = auto()
    BEHIND = auto()
    """A comma, or the end."""
    TAIL = auto()


class RequestSplitter:
    """Finds where the objects of ``{"requests": [...]}`` begin and end; what is in them is not looked at."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._rest = bytearray()
        self._at = _At.HEAD
        self._seen = 0
        self._depth = 0
        self._is_text = False
        self._count = 0

    @property
    def held_bytes(self) -> int:
        """Of what has come, how much is not whole yet."""
        return len(self._rest)

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the body's next bytes; return the requests that are whole now.

        Raises:
            InvalidRequest: if the body is no such object.
            BodyTooLarge: if a request has more bytes than one may.
        """
        self._rest += piece
        found: list[bytes] = []
        while self._step(found):
            pass
        return found

    def end(self) -> None:
        """See the body end.

        Raises:
            InvalidRequest: if it ends before its object does.
        """
        if self._at is _At.HEAD:
            self._refuse_head()
        if self._at is not _At.TAIL or not _TAIL.fullmatch(self._rest):
            raise InvalidRequest("The body must be a JSON object, but it ends in the middle of one.")

    def _step(self, found: list[bytes]) -> bool:
        """Go on by one token; return whether there may be another one in what has come."""
        if self._at is _At.HEAD:
            return self._head()
        if self._at is _At.WITHIN:
            return self._within(found)
        if self._at is _At.TAIL:
            if len(self._rest) > _MOST_HEAD_BYTES or not _TAIL.fullmatch(self._rest + b"}" * (b"}" not in self._rest)):
                raise InvalidRequest(f"The body must have '{_NAME}' alone, and nothing behind it.", field=_NAME)
            return False
        spaces = _SPACES.match(self._rest)
        del self._rest[: spaces.end() if spaces else 0]
        return bool(self._rest) and self._between(self._rest[0])

    def _head(self) -> bool:
        match = _HEAD.match(self._rest)
        if match is None:
            if len(self._rest) > _MOST_HEAD_BYTES:
                self._refuse_head()
            return False
        if match[1] != _NAME.encode():
            shown = shortened(match[1].decode("utf-8", "replace"))
            raise UnsupportedParameter(f"'{shown}' is not supported here; remove it.", parameter=shown)
        del self._rest[: match.end()]
        self._at = _At.FIRST
        return True

    def _refuse_head(self) -> None:
        text = f"The body must be a JSON object whose one member is '{_NAME}', an array of requests."
        raise InvalidRequest(text, field=_NAME)

    def _between(self, token: int) -> bool:
        if self._at is _At.BEHIND:
            if token not in (_COMMA, _END):
                raise InvalidRequest(f"'{_NAME}' is malformed behind its request {self._count}.", field=_NAME)
            self._at = _At.REQUEST if token == _COMMA else _At.TAIL
            del self._rest[:1]
            return True
        if token == _END and self._at is _At.FIRST:
            self._at = _At.TAIL
            del self._rest[:1]
            return True
        if token != _OPEN:
            name = f"{_NAME}.{self._count}"
            raise InvalidRequest(f"'{name}' must be an object.", field=name)
        self._at = _At.WITHIN
        self._seen = self._depth = 0
        return True

    def _within(self, found: list[bytes]) -> bool:
        while token := (_INSIDE if self._is_text else _OUTSIDE).search(self._rest, self._seen):
            kind = self._rest[token.start()]
            self._seen = token.end()
            if self._is_text:
                if kind == _QUOTE:
                    self._is_text = False
                else:
                    # What it escapes may still have to come.
                    self._seen += 1
            elif kind == _QUOTE:
                self._is_text = True
            else:
                self._depth += 1 if kind == _OPEN else -1
                if not self._depth:
                    self._check_size(self._seen)
                    found.append(bytes(self._rest[: self._seen]))
                    del self._rest[: self._seen]
                    self._count += 1
                    self._at = _At.BEHIND
                    return True
        self._seen = max(self._seen, len(self._rest))
        self._check_size(len(self._rest))
        return False

    def _check_size(self, size: int) -> None:
        if size > self._most:
            text = f"'{_NAME}.{self._count}' is longer than {self._most} bytes, the most that a request may have."
            raise BodyTooLarge(text)


async def requests_in(body: FormBody, most_bytes: int) -> AsyncGenerator[list[bytes]]:
    """Yield the requests of a body, some at a time, as they stand there; what is kept of it meanwhile is told to the body.

    Raises:
        InvalidRequest, BodyTooLarge: if the body is none, or a request has more bytes than one may.
        PenstockError: if there is no room for it.
    """
    splitter, held = RequestSplitter(most_bytes), FREE_BYTES
    async for piece in body.pieces():
        for start in range(0, len(piece), _STEP_BYTES):
            yield splitter.feed(piece[start : start + _STEP_BYTES])
            if splitter.held_bytes > held:
                held = splitter.held_bytes
                body.hold(_COPIES * held)
            await asyncio.sleep(0)
    splitter.end()
