"""JSON that callers wrote, as it stands, within a request that we write: nothing may break out of it."""

from __future__ import annotations

import msgspec

from penstock_common.llm.types import ToolCall
from penstock_inference.domain.failure import AttemptFailed, FailureKind

_RAW = msgspec.json.Decoder(msgspec.Raw)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNREADABLE = (msgspec.DecodeError, RecursionError)
_NO_JSON = "INVALID_JSON"
"""As Anthropic asks for calls whose arguments broke off:
https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming"""


def verbatim(text: str, field: str) -> msgspec.Raw:
    """Return the text as it stands, once it is known to be one JSON value.

    Raises:
        AttemptFailed: BAD_REQUEST, naming ``field``, where it is none.
    """
    try:
        return _RAW.decode(text)
    except _UNREADABLE:
        raise AttemptFailed(FailureKind.BAD_REQUEST, f"{field} is not valid JSON", parameter=field) from None


def members(text: str, field: str) -> dict[str, msgspec.Raw]:
    """Return the members of an object, each as it stands; none of an empty text.

    Raises:
        AttemptFailed: BAD_REQUEST, naming ``field``, where it is none.
    """
    try:
        return _OBJECT.decode(text) if text else {}
    except _UNREADABLE:
        raise AttemptFailed(FailureKind.BAD_REQUEST, f"{field} is not a JSON object", parameter=field) from None


def verbatim_object(text: str, field: str) -> msgspec.Raw:
    """Return the text as it stands, once it is known to be one JSON object.

    Raises:
        AttemptFailed: BAD_REQUEST, naming ``field``, where it is none.
    """
    raw = verbatim(text, field)
    if not bytes(raw).lstrip().startswith(b"{"):
        raise AttemptFailed(FailureKind.BAD_REQUEST, f"{field} is not a JSON object", parameter=field)
    return raw


def is_object(text: str) -> bool:
    """Return whether a text is one JSON object."""
    try:
        _OBJECT.decode(text)
    except _UNREADABLE:
        return False
    return True


def arguments_of(call: ToolCall) -> msgspec.Raw | dict[str, str]:
    """Return an earlier call's arguments as an object: verbatim where they are one.

    A model may have broken off within them, or have called a tool of free text: a conversation in which it did goes on.
    """
    text = call.arguments_json
    if call.is_custom:
        return {"input": text}
    if not text.strip():
        return {}
    return msgspec.Raw(text.encode()) if is_object(text) else {_NO_JSON: text}
