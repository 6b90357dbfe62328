"""JSON that callers wrote, as it stands, within a request that we write."""

from __future__ import annotations

import msgspec

from penstock_inference.domain.failure import AttemptFailed, FailureKind

_RAW = msgspec.json.Decoder(msgspec.Raw)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def verbatim(text: str, field: str) -> msgspec.Raw:
    """Return the text as it stands, once it is known to be one JSON value: nothing may break out of it."""
    try:
        return _RAW.decode(text)
    except msgspec.DecodeError:
        raise AttemptFailed(FailureKind.BAD_REQUEST, f"{field} is not valid JSON", parameter=field) from None


def members(text: str, field: str) -> dict[str, msgspec.Raw]:
    """Return an object's members, each as it stands."""
    try:
        return _MEMBERS.decode(text)
    except msgspec.DecodeError:
        raise AttemptFailed(FailureKind.BAD_REQUEST, f"{field} is not a JSON object") from None
