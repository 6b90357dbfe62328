"""The lines of a batch's file: where they begin and end, and what must be in each."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec

from penstock_gateway.domain.batches.batch import LineFault

MAX_CUSTOM_ID = 512
"""Characters."""
MAX_MODEL = 256
"""Characters of a model's name that a job can be kept under."""
MOST_FAULTS = 100
"""Of one file that are told."""
_DIGEST_BYTES = 16
_SEVERAL = 2
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line that is not blank: its number from 1 on, its bytes without the end, and the byte of the file behind it."""

    number: int
    content: bytes
    end: int


class LineTooLong(Exception):
    """A line is longer than a request may be."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Place(NamedTuple):
    """A line's beginning in its file: how many lines, and how many bytes, are before it."""

    lines: int = 0
    bytes: int = 0


BEGINNING = Place()


async def lines_in(
    pieces: AsyncIterator[bytes], most_bytes: int = sys.maxsize, start: Place = BEGINNING
) -> AsyncIterator[Line]:
    """Yield the lines of what begins at ``start``. Without a bound: of a file whose lines were looked at before.

    Raises:
        LineTooLong: at one that has more bytes.
    """
    number, at, rest = start.lines, start.bytes, b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n") if b"\n" in piece else (rest + piece,)
        for content in whole:
            number, at = number + 1, at + len(content) + 1
            line = _line(number, content, at)
            if line is not None:
                _check(line, most_bytes)
                yield line
        if len(rest) > most_bytes:
            raise LineTooLong(number + 1)
    last = _line(number + 1, rest, at + len(rest))
    if last is not None:
        yield last


def _check(line: Line, most_bytes: int) -> None:
    if len(line.content) > most_bytes:
        raise LineTooLong(line.number)


def _line(number: int, content: bytes, end: int) -> Line | None:
    if number == 1:
        content = content.removeprefix(_BYTE_ORDER_MARK)
    content = content.strip(b" \t\r")
    return Line(number, content, end) if content else None


class Asked(NamedTuple):
    """What a line asks: the body as it stands there."""

    custom_id: str
    body: bytes


class _Written(msgspec.Struct):
    custom_id: object = None
    method: object = None
    url: object = None
    body: msgspec.Raw = msgspec.Raw()


class _Named(msgspec.Struct):
    model: object = None


_LINE = msgspec.json.Decoder(_Written)
_BODY = msgspec.json.Decoder(_Named)


class LineRefused(Exception):
    """A line is not what a batch's lines are."""

    def __init__(self, fault: LineFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def asked_in(line: Line, endpoint: str) -> Asked:
    """Return what a line asks.

    Raises:
        LineRefused: if it is none of a batch for that endpoint.
    """

    def refused(code: str, message: str, param: str | None = None) -> LineRefused:
        return LineRefused(LineFault(code=code, message=message, line=line.number, param=param))

    try:
        written = _LINE.decode(line.content)
        str(line.content, "utf-8")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise refused("invalid_json_line", "This line is not parseable as a JSON object.") from None
    custom_id = written.custom_id
    if custom_id is None:
        raise refused("missing_required_parameter", "Missing required parameter: 'custom_id'.", "custom_id")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= MAX_CUSTOM_ID:
        raise refused("invalid_value", f"'custom_id' must be a string of 1 to {MAX_CUSTOM_ID} characters.", "custom_id")
    if written.method != "POST":
        raise refused("invalid_method", "'method' must be POST.", "method")
    if written.url != endpoint:
        raise refused("mismatched_url", f"'url' must be '{endpoint}', as the batch says.", "url")
    body = bytes(written.body)
    if not body.startswith(b"{"):
        raise refused("missing_required_parameter", "'body' must be there, and be a JSON object.", "body")
    return Asked(custom_id, body)


def model_in(body: bytes) -> str:
    """Return the model that a body names; empty where it names none."""
    try:
        model = _BODY.decode(body).model
    except (msgspec.DecodeError, RecursionError):
        return ""
    return model if isinstance(model, str) else ""


def may_be_kept(model: str) -> bool:
    """Return whether every database keeps a model's name as it is."""
    return len(model) <= MAX_MODEL and "\0" not in model


class Inspection:
    """Looks at all lines of a file, one after another."""

    def __init__(self, endpoint: str, most_lines: int) -> None:
        self.lines = 0
        self._endpoint = endpoint
        self._most = most_lines
        # Digests: what clients write may be long, and there are many.
        self._ids: set[bytes] = set()
        self._models: set[str] = set()
        self._faults: list[LineFault] = []
        self._further = 0

    @property
    def is_over(self) -> bool:
        """Whether it makes no sense to look at more lines."""
        return self.lines > self._most

    @property
    def model(self) -> str:
        """The one model that they name; empty where they name several, or one that no database keeps."""
        (only, *more) = self._models or ("",)
        return only if not more and may_be_kept(only) else ""

    @property
    def faults(self) -> tuple[LineFault, ...]:
        """What is wrong; nothing where the batch may begin."""
        if self.is_over:
            text = f"The file has more than {self._most} requests, the most that a batch may have."
            return (LineFault(code="too_many_tasks", message=text),)
        if not self.lines and not self._faults:
            return (LineFault(code="empty_file", message="The file has no requests."),)
        if self._further:
            text = f"{self._further} further lines have errors."
            return (*self._faults, LineFault(code="further_errors", message=text))
        return tuple(self._faults)

    def note(self, fault: LineFault) -> None:
        """Note what is wrong."""
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(fault)
        else:
            self._further += 1

    async def look_through(self, lines: AsyncIterator[Line]) -> None:
        """Look at all lines, or at as many as make sense."""
        async for line in lines:
            self.look_at(line)
            if self.is_over:
                return

    def look_at(self, line: Line) -> None:
        """Look at the next line."""
        self.lines += 1
        try:
            asked = asked_in(line, self._endpoint)
        except LineRefused as refused:
            self.note(refused.fault)
            return
        digest = hashlib.blake2b(asked.custom_id.encode(), digest_size=_DIGEST_BYTES).digest()
        if digest in self._ids:
            text = f"The custom_id '{asked.custom_id[:64]}' is that of an earlier line; each must be its line's own."
            self.note(LineFault(code="duplicate_custom_id", message=text, line=line.number, param="custom_id"))
        self._ids.add(digest)
        if len(self._models) < _SEVERAL:
            self._models.add(model_in(asked.body))
