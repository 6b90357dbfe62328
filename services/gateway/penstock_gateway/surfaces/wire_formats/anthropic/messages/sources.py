"""Images and documents of the Messages API, in the suite's vocabulary."""

from __future__ import annotations

import binascii
from base64 import b64decode

import msgspec

from penstock_common.errors import InvalidRequest
from penstock_common.llm.images import image_type
from penstock_common.llm.types import ContentPart, File, Image, Text
from penstock_gateway.surfaces.wire_formats.anthropic.messages import request_wire as wire
from penstock_gateway.surfaces.wire_formats.json_body import T, read_object

_SOURCE = msgspec.json.Decoder(wire.Source)
_CITATIONS = msgspec.json.Decoder(wire.DocumentCitations | None)
_PLAIN = "text/plain"


def text_of(block: wire.Block, path: str) -> Text:
    """Return a block of text."""
    cited = bytes(block.citations)
    return Text(
        text=needed(block.text, f"{path}.text"),
        citations_json="" if cited == b"null" else cited.decode(),
        cache_breakpoint=block.cache_control is not None,
        cache_ttl=ttl_of(block.cache_control),
    )


def image_of(block: wire.Block, path: str) -> ContentPart | None:
    """Return an image; None for one that only the provider can know.

    Raises:
        InvalidRequest: if its source holds none.
    """
    source, ends, ttl = _source(block, path), block.cache_control is not None, ttl_of(block.cache_control)
    if source.type == "url":
        return Image(url=needed(source.url, f"{path}.source.url"), cache_breakpoint=ends, cache_ttl=ttl)
    if source.type != "base64":
        return None
    data = _data(source, path)
    return Image(data=data, media_type=image_type(data, source.media_type or ""), cache_breakpoint=ends, cache_ttl=ttl)


def document_of(block: wire.Block, path: str) -> ContentPart | None:
    """Return a document; None for one that only the provider can know.

    Raises:
        InvalidRequest: if its source holds none.
    """
    source = _source(block, path)
    citations = read_at(_CITATIONS, block.citations, f"{path}.citations")
    file = File(
        name=block.title or "",
        context=block.context or "",
        with_citations=citations is not None and citations.enabled is True,
        cache_breakpoint=block.cache_control is not None,
        cache_ttl=ttl_of(block.cache_control),
    )
    replace = msgspec.structs.replace
    if source.type == "url":
        return replace(file, url=needed(source.url, f"{path}.source.url"))
    if source.type == "file":
        return replace(file, id=needed(source.file_id, f"{path}.source.file_id"))
    if source.type == "text":
        data = needed(source.data, f"{path}.source.data").encode(errors="replace")
        return replace(file, data=data, media_type=source.media_type or _PLAIN)
    if source.type == "base64":
        return replace(file, data=_data(source, path), media_type=source.media_type or "")
    return None


def ttl_of(control: wire.CacheControl | None) -> str:
    """Return how long the prompt cache is to keep what ends there."""
    return control.ttl or "" if control is not None else ""


def needed(value: str | None, field: str) -> str:
    """Return a field's value.

    Raises:
        InvalidRequest: if it is not there.
    """
    if value is None:
        raise InvalidRequest(f"'{field}' is required, but it is missing.", field=field)
    return value


def read_at(decoder: msgspec.json.Decoder[T], value: msgspec.Raw, path: str) -> T:
    """Return a verbatim value as the decoder's type.

    Raises:
        InvalidRequest: if it is not of that type.
    """
    try:
        return read_object(decoder, bytes(value))
    except InvalidRequest as error:
        raise InvalidRequest(f"'{path}' cannot be read: {error.message}", field=path) from None


def _source(block: wire.Block, path: str) -> wire.Source:
    if block.source is wire.ABSENT:
        raise InvalidRequest(f"'{path}.source' is required, but it is missing.", field=f"{path}.source")
    return read_at(_SOURCE, block.source, f"{path}.source")


def _data(source: wire.Source, path: str) -> bytes:
    field = f"{path}.source.data"
    try:
        data = b64decode(needed(source.data, field), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"'{field}' must be base64, but is not: {error}.", field=field) from None
    if not data:
        raise InvalidRequest(f"'{field}' must hold data, but is empty.", field=field)
    return data
