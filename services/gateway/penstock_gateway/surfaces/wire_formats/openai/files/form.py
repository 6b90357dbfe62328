"""Reads the form that uploads a file, as it comes: ``purpose``, ``expires_after`` and ``file``, in multipart."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_gateway.surfaces.wire_formats.json_body import shortened

if TYPE_CHECKING:
    from multipart import MultipartSegment, PushMultipartParser

FIELDS = ("purpose", "expires_after[anchor]", "expires_after[seconds]")
"""Beside the file."""
_MAX_FIELDS = 8
_MAX_FIELD_BYTES = 1024
# RFC 2046, 5.1.1, allows no more.
_MAX_BOUNDARY = 70


class FileBegins(msgspec.Struct, frozen=True):
    """The file's bytes follow. ``fields`` are those that came before it."""

    filename: str
    fields: Mapping[str, str]


class FormEnds(msgspec.Struct, frozen=True):
    """Nothing follows; ``fields`` are all of them."""

    fields: Mapping[str, str]


Part = FileBegins | bytes | FormEnds
"""What ``parts_of`` yields: the file's beginning, its bytes in pieces, and the form's end."""


async def parts_of(pieces: AsyncIterator[bytes], content_type: str) -> AsyncGenerator[Part]:
    """Yield what a form holds, as it comes.

    Raises:
        InvalidRequest: if it is no form, or a field is missing, twice there or wrong.
        UnsupportedParameter: if a field asks for what is not built.
    """
    # Only who uploads a file needs it.
    from multipart import PushMultipartParser

    form = _Form(PushMultipartParser(_boundary_in(content_type), max_segment_count=_MAX_FIELDS, strict=True))
    async for piece in _and_end(pieces):
        for part in form.take(piece):
            yield part
    form.check()
    yield FormEnds(form.fields)


async def _and_end(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the pieces, and then no bytes: a form that has not ended there is refused."""
    async for piece in pieces:
        yield piece
    yield b""


def _boundary_in(content_type: str) -> str:
    from multipart import parse_options_header

    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not 0 < len(boundary) <= _MAX_BOUNDARY or not boundary.isascii():
        raise InvalidRequest("The body must be multipart/form-data with a boundary.")
    return boundary


class _Form:
    """Puts together what the parser tells: the head of a part, pieces of it, and None for its end."""

    def __init__(self, parser: PushMultipartParser) -> None:
        self.fields: dict[str, str] = {}
        self._parser = parser
        self._has_file = False
        self._is_file = False
        self._file_bytes = 0
        self._name = ""
        self._held = bytearray()

    def take(self, piece: bytes) -> list[Part]:
        """Return what the next bytes hold; no bytes are the end."""
        from multipart import MultipartError

        parts: list[Part] = []
        try:
            for event in self._parser.parse(piece):
                self._see(event, parts)
        except (MultipartError, UnicodeError):
            # The parser's reasons name its own states.
            raise InvalidRequest("The body is no well-formed multipart/form-data.") from None
        return parts

    def _see(self, event: MultipartSegment | bytes | bytearray | None, parts: list[Part]) -> None:
        # Where a form's end comes by itself, a strict parser takes the line's end behind it for too much.
        self._parser.strict = event is not None
        if event is None:
            self._end()
        elif isinstance(event, bytes | bytearray):
            self._add(bytes(event), parts)
        else:
            self._begin(event, parts)

    def check(self) -> None:
        """Check that all is there."""
        if not self._has_file:
            raise InvalidRequest("'file' is required, but it is missing.", field="file")
        if not self._file_bytes:
            raise InvalidRequest("'file' is empty.", field="file")
        if "purpose" not in self.fields:
            raise InvalidRequest("'purpose' is required, but it is missing.", field="purpose")

    def _begin(self, head: MultipartSegment, parts: list[Part]) -> None:
        name = shortened(head.name or "")
        if head.disposition != "form-data" or not name:
            raise InvalidRequest("Each part of the form must have a name.")
        if name in self.fields or (name == "file" and self._has_file):
            raise InvalidRequest(f"'{name}' is given twice; give it once.", field=name)
        self._name, self._is_file = name, name == "file"
        self._held.clear()
        if self._is_file:
            self._has_file = True
            parts.append(FileBegins(_base_name(head.filename), dict(self.fields)))
        elif name not in FIELDS:
            raise UnsupportedParameter(f"'{name}' is not supported here; remove it.", parameter=name)

    def _add(self, piece: bytes, parts: list[Part]) -> None:
        if self._is_file:
            self._file_bytes += len(piece)
            parts.append(piece)
            return
        self._held += piece
        if len(self._held) > _MAX_FIELD_BYTES:
            raise InvalidRequest(f"'{self._name}' is longer than {_MAX_FIELD_BYTES} bytes.", field=self._name)

    def _end(self) -> None:
        if not self._is_file:
            self.fields[self._name] = self._held.decode(errors="replace")


def _base_name(filename: str | None) -> str:
    """Return the last part of what may be a path; it is shown, and names no file here."""
    name = (filename or "").replace("\\", "/").rpartition("/")[2]
    shown = "".join(letter for letter in name if letter.isprintable()).strip()
    if not shown:
        raise InvalidRequest("'file' must be a file with a name.", field="file")
    return shown
