"""Turns the parts of messages, and of tools' outputs, into the suite's."""

from __future__ import annotations

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.types import ContentPart, File, Image, Text
from penstock_gateway.surfaces.wire_formats.json_body import read_object, shortened
from penstock_gateway.surfaces.wire_formats.openai.data_urls import DATA_SCHEME, file_in, image_in, trimmed
from penstock_gateway.surfaces.wire_formats.openai.fields import is_null
from penstock_gateway.surfaces.wire_formats.openai.responses import request_wire as wire

_OUTPUT = msgspec.json.Decoder(str | list[wire.Part] | None)
_TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_KNOWN = "'input_text', 'input_image', 'input_file', 'output_text' and 'refusal'"


def needed(value: str | None, field: str) -> str:
    """Return what must be there.

    Raises:
        InvalidRequest: if it is not.
    """
    if value is None:
        raise InvalidRequest(f"'{field}' is required, but it is missing.", field=field)
    return value


def content_of(
    content: str | list[wire.Part] | None, path: str, *, may_be_empty: bool = False
) -> tuple[ContentPart, ...]:
    """Return a message's parts.

    Raises:
        InvalidRequest: if there are none, or one lacks what its type needs.
        UnsupportedParameter: for one that nobody carries.
    """
    if isinstance(content, str):
        return (Text(text=content),) if content or not may_be_empty else ()
    if not content and not may_be_empty:
        raise InvalidRequest(f"'{path}' must be a string or an array of parts, and not empty.", field=path)
    return tuple([_part(part, f"{path}[{place}]") for place, part in enumerate(content or ())])


def output_of(output: msgspec.Raw, path: str) -> tuple[ContentPart, ...]:
    """Return the parts of what a tool answered; raises what ``content_of`` raises."""
    if is_null(output):
        raise InvalidRequest(f"'{path}' is required, but it is missing.", field=path)
    try:
        read = read_object(_OUTPUT, bytes(output))
    except InvalidRequest:
        raise InvalidRequest(f"'{path}' must be a string or an array of parts.", field=path) from None
    return content_of(read, path, may_be_empty=True) or (Text(text=""),)


def _part(part: wire.Part, path: str) -> ContentPart:
    ends_prefix = part.prompt_cache_breakpoint is not None
    if part.type in _TEXTS:
        return Text(text=needed(part.text, f"{path}.text"), cache_breakpoint=ends_prefix)
    if part.type == "refusal":
        return Text(text=needed(part.refusal, f"{path}.refusal"), cache_breakpoint=ends_prefix)
    if part.type == "input_image":
        return _image(part, path, ends_prefix=ends_prefix)
    if part.type == "input_file":
        return _file(part, path, ends_prefix=ends_prefix)
    if part.type == "input_audio":
        raise UnsupportedParameter(f"'{path}' is not supported; send a transcript as text.", parameter=path)
    text = f"'{path}.type' must be one of {_KNOWN}, but is '{shortened(part.type)}'."
    raise InvalidRequest(text, field=f"{path}.type")


def _image(part: wire.Part, path: str, *, ends_prefix: bool) -> Image:
    if part.image_url is None:
        raise _no_store(f"{path}.file_id", "image_url") if part.file_id else _missing(f"{path}.image_url")
    field, url = f"{path}.image_url", trimmed(part.image_url)
    detail, scheme = part.detail or "", url[:8].lower()
    if scheme.startswith(DATA_SCHEME):
        media_type, data = image_in(url, field)
        return Image(data=data, media_type=media_type, detail=detail, cache_breakpoint=ends_prefix)
    if scheme.startswith(("https://", "http://")):
        # The domain compares the scheme in lower case.
        scheme = scheme.partition(":")[0]
        return Image(url=scheme + url[len(scheme) :], detail=detail, cache_breakpoint=ends_prefix)
    text = f"'{field}' must be an http(s) URL or a base64 data: URL, but starts with '{url[:8]}'."
    raise InvalidRequest(text, field=field)


def _file(part: wire.Part, path: str, *, ends_prefix: bool) -> File:
    name = part.filename or ""
    if part.file_data:
        media_type, data = file_in(part.file_data, f"{path}.file_data")
        return File(name=name, media_type=media_type, data=data, cache_breakpoint=ends_prefix)
    if part.file_url:
        return File(name=name, url=part.file_url.strip(), cache_breakpoint=ends_prefix)
    raise _no_store(f"{path}.file_id", "file_data") if part.file_id else _missing(f"{path}.file_data")


def _missing(field: str) -> InvalidRequest:
    return InvalidRequest(f"'{field}' is required, but it is missing.", field=field)


def _no_store(field: str, instead: str) -> UnsupportedParameter:
    text = f"'{field}' is not supported: models read no files that are kept here. Send '{instead}'."
    return UnsupportedParameter(text, parameter=field)
