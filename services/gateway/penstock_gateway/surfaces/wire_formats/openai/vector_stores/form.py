"""Reads the form that uploads a file: ``file`` and ``purpose``, in multipart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_gateway.surfaces.wire_formats.json_body import shortened

if TYPE_CHECKING:
    from multipart import MultipartSegment

PURPOSES = ("assistants", "user_data")
"""Others are for what is not here: batches, training, pictures."""
_MAX_FIELDS = 8
_MAX_FIELD_BYTES = 1024
# RFC 2046, 5.1.1, allows no more.
_MAX_BOUNDARY = 70


class Field(NamedTuple):
    """A part of a form; files alone have a name of their own."""

    filename: str | None
    content: bytes


class Upload(msgspec.Struct, frozen=True):
    """A file to keep."""

    filename: str
    purpose: str
    content: bytes


def read_upload(body: bytes, content_type: str) -> Upload:
    """Return what the form holds.

    Raises:
        InvalidRequest: if it is no form, or a field is missing, twice there or wrong.
        UnsupportedParameter: if a field asks for what is not built.
    """
    fields = _fields_in(body, _boundary_in(content_type))
    for name in fields:
        if name not in ("file", "purpose"):
            shown = shortened(name)
            raise UnsupportedParameter(f"'{shown}' is not supported here; remove it.", parameter=shown)
    if "file" not in fields:
        raise InvalidRequest("'file' is required, but it is missing.", field="file")
    filename, content = fields["file"]
    if filename is None:
        raise InvalidRequest("'file' must be a file with a name.", field="file")
    if not content:
        raise InvalidRequest("'file' is empty.", field="file")
    return Upload(_base_name(filename), _purpose(fields), content)


def _purpose(fields: Mapping[str, Field]) -> str:
    if "purpose" not in fields:
        raise InvalidRequest("'purpose' is required, but it is missing.", field="purpose")
    purpose = fields["purpose"].content.decode(errors="replace")
    if purpose not in PURPOSES:
        known = " or ".join(f"'{name}'" for name in PURPOSES)
        raise InvalidRequest(f"'purpose' must be {known}, but is '{shortened(purpose)}'.", field="purpose")
    return purpose


def _boundary_in(content_type: str) -> str:
    from multipart import parse_options_header

    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not 0 < len(boundary) <= _MAX_BOUNDARY or not boundary.isascii():
        raise InvalidRequest("The body must be multipart/form-data with a boundary.")
    return boundary


def _fields_in(body: bytes, boundary: str) -> Mapping[str, Field]:
    """Return the form's fields.

    Raises:
        InvalidRequest: if it is none.
    """
    # Only who uploads a file needs it.
    from multipart import MultipartError, PushMultipartParser

    fields = _Fields()
    try:
        with PushMultipartParser(boundary, len(body), max_segment_count=_MAX_FIELDS, strict=True) as parser:
            for event in parser.parse(body):
                fields.take(event)
    except (MultipartError, UnicodeError):
        # The parser's reasons name its own states.
        raise InvalidRequest("The body is no well-formed multipart/form-data.") from None
    return fields.by_name


class _Fields:
    """Puts together what the parser tells: the head of a part, pieces of it, and None for its end."""

    def __init__(self) -> None:
        self.by_name: dict[str, Field] = {}
        self._name = ""
        self._filename: str | None = None
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        """Take in what the parser tells next."""
        if event is None:
            self.by_name[self._name] = Field(self._filename, b"".join(self._pieces))
        elif isinstance(event, bytes | bytearray):
            self._add(event)
        else:
            self._begin(event)

    def _begin(self, head: MultipartSegment) -> None:
        name = shortened(head.name or "")
        if head.disposition != "form-data" or not name:
            raise InvalidRequest("Each part of the form must have a name.")
        if name in self.by_name:
            raise InvalidRequest(f"'{name}' is given twice; give it once.", field=name)
        self._name, self._filename = name, head.filename
        self._pieces = []
        self._size = 0

    def _add(self, piece: bytes | bytearray) -> None:
        # Of what is bytes already no copy is made, nor of one piece joined.
        self._pieces.append(bytes(piece))
        self._size += len(piece)
        if self._name != "file" and self._size > _MAX_FIELD_BYTES:
            raise InvalidRequest(f"'{self._name}' is longer than {_MAX_FIELD_BYTES} bytes.", field=self._name)


def _base_name(filename: str) -> str:
    """Return the last part of what may be a path; it is shown, and names no file here."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    shown = "".join(letter for letter in name if letter.isprintable()).strip()
    if not shown:
        raise InvalidRequest("'file' must be a file with a name.", field="file")
    return shown
