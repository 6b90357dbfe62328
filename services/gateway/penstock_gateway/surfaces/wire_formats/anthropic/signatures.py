"""Signatures of thinking, wrapped so that whose they are survives the way to the caller and back.

A wrapped one holds the provider's own and whom that is bound to. No provider is ever sent a wrapped one.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

_BEGINNING = "pk1a."


class _Sealed(msgspec.Struct, array_like=True):
    origin: str
    own: bytes


_DECODER = msgspec.msgpack.Decoder(_Sealed)


def wrapped(own: bytes, origin: str) -> str:
    """Return what a caller is given for a signature, or for hidden content, of ``origin``; as it is where nobody knows that."""
    if not origin and own.isascii() and not own.startswith(_BEGINNING.encode()):
        return own.decode()
    return _BEGINNING + urlsafe_b64encode(msgspec.msgpack.encode(_Sealed(origin, own))).decode()


def unwrapped(given: str) -> tuple[bytes, str]:
    """Return what a caller hands back as the provider gave it, and whose it is; b"" where it was altered on its way."""
    if not given.startswith(_BEGINNING):
        return given.encode(errors="replace"), ""
    try:
        sealed = _DECODER.decode(urlsafe_b64decode(given.removeprefix(_BEGINNING)))
    except (ValueError, msgspec.DecodeError):
        return b"", ""
    return sealed.own, sealed.origin
