"""Reads the form that uploads a file: ``file`` and ``purpose``, in multipart."""

from __future__ import annotations

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_gateway.surfaces.wire_formats.json_body import shortened

PURPOSES = ("assistants", "user_data")
"""Others are for what is not here: batches, training, pictures."""
_MAX_FIELDS = 8
_MAX_FIELD_BYTES = 1024
_MAX_BOUNDARY = 70
# RFC 2046, 5.1.1, allows as many.


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


def _purpose(fields: dict[str, tuple[str | None, bytes]]) -> str:
    if "purpose" not in fields:
        raise InvalidRequest("'purpose' is required, but it is missing.", field="purpose")
    purpose = fields["purpose"][1].decode(errors="replace")
    if purpose not in PURPOSES:
        known = " or ".join(f"'{name}'" for name in PURPOSES)
        raise InvalidRequest(f"'purpose' must be {known}, but is '{shortened(purpose)}'.", field="purpose")
    return purpose


def _boundary_in(content_type: str) -> str:
    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not 0 < len(boundary) <= _MAX_BOUNDARY or not boundary.isascii():
        raise InvalidRequest("The body must be multipart/form-data with a boundary.")
    return boundary


def _fields_in(body: bytes, boundary: str) -> dict[str, tuple[str | None, bytes]]:
    """Return the file name, where there is one, and the content of each field."""
    try:
        return _parsed(body, boundary)
    except (MultipartError, UnicodeError):
        # The parser's reasons name its own states.
        raise InvalidRequest("The body is no well-formed multipart/form-data.") from None


def _parsed(body: bytes, boundary: str) -> dict[str, tuple[str | None, bytes]]:
    fields: dict[str, tuple[str | None, bytes]] = {}
    name, filename, pieces = "", None, list[bytes]()
    with PushMultipartParser(boundary, len(body), max_segment_count=_MAX_FIELDS, strict=True) as parser:
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                name, filename, pieces = _new_name(event, fields), event.filename, []
            elif event:
                pieces.append(bytes(event))
                if name != "file" and sum(map(len, pieces)) > _MAX_FIELD_BYTES:
                    raise InvalidRequest(f"'{name}' is longer than {_MAX_FIELD_BYTES} bytes.", field=name)
            else:
                fields[name] = filename, b"".join(pieces)
    return fields


def _new_name(segment: MultipartSegment, fields: dict[str, tuple[str | None, bytes]]) -> str:
    name = shortened(segment.name or "")
    if segment.disposition != "form-data" or not name:
        raise InvalidRequest("Each part of the form must have a name.")
    if name in fields:
        raise InvalidRequest(f"'{name}' is given twice; give it once.", field=name)
    return name


def _base_name(filename: str) -> str:
    """Return the last part of what may be a path; it is shown, and names no file here."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    shown = "".join(letter for letter in name if letter.isprintable()).strip()
    if not shown:
        raise InvalidRequest("'file' must be a file with a name.", field="file")
    return shown
