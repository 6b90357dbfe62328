"""JSON that callers wrote, as it stands, within a request that we write: nothing may break out of it."""

from __future__ import annotations

import msgspec

from penstock_inference.domain.failure import AttemptFailed, FailureKind

_RAW = msgspec.json.Decoder(msgspec.Raw)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNREADABLE = (msgspec.DecodeError, RecursionError)


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
