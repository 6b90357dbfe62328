"""What of a flight lies in Redis: under a name that names nobody, and sealed."""

from __future__ import annotations

import dataclasses
import hmac
import os
from datetime import timedelta
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from penstock_common import errors
from penstock_common.errors import InternalError, PenstockError
from penstock_common.llm.types import GenerationEvent
from penstock_gateway.domain.life.flights import FlightKey

_NONCE_BYTES = 12
_ID_CHARACTERS = 32


class _Entry(msgspec.Struct, array_like=True):
    events: list[GenerationEvent] = []
    error: str = ""
    fields: dict[str, Any] = {}


Entry = list[GenerationEvent] | PenstockError
"""What follows in a flight's log: events, or the error that ends it."""


class FlightSealer:
    """Names flights and seals what they are made of, by keys that are derived of one secret (RFC 5869)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._naming = self._derived(b"name")

    def id_of(self, key: FlightKey) -> str:
        """Return what a flight is called in Redis."""
        identity = _ENCODER.encode(msgspec.structs.astuple(key))
        return hmac.new(self._naming, identity, "sha256").hexdigest()[:_ID_CHARACTERS]

    def cipher(self, key: FlightKey, flight: str) -> FlightCipher:
        """Return what seals one flight of a tenant."""
        tenant = key.tenant.encode()
        purpose = b"entry\0%d\0%b%b" % (len(tenant), tenant, flight.encode())
        return FlightCipher(AESGCM(self._derived(purpose)), flight.encode())

    def _derived(self, purpose: bytes) -> bytes:
        info = b"penstock flights v1\0" + purpose
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._secret)


class FlightCipher:
    """Seals a flight's entries, each for its place alone (AES-256-GCM)."""

    __slots__ = ("_aes", "_flight")

    def __init__(self, aes: AESGCM, flight: bytes) -> None:
        self._aes = aes
        self._flight = flight

    def seal(self, place: int, entry: Entry) -> bytes:
        """Return the entry that stands at a place, from 0 on."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aes.encrypt(nonce, _ENCODER.encode(_plain(entry)), b"%b\0%d" % (self._flight, place))

    def open(self, place: int, sealed: bytes) -> Entry | None:
        """Return what stands there; None where it was not sealed so."""
        nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            entry = _DECODER.decode(self._aes.decrypt(nonce, content, b"%b\0%d" % (self._flight, place)))
        except (InvalidTag, ValueError, msgspec.DecodeError):
            return None
        return _error_of(entry) if entry.error else entry.events


def _plain(entry: Entry) -> _Entry:
    if not isinstance(entry, PenstockError):
        return _Entry(events=list(entry))
    fields = {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)}
    return _Entry(error=type(entry).__name__, fields={name: _told(value) for name, value in fields.items()})


def _told(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _error_of(entry: _Entry) -> PenstockError:
    kind = getattr(errors, entry.error, None)
    if not (isinstance(kind, type) and issubclass(kind, PenstockError)):
        return InternalError()
    fields = dict(entry.fields)
    if "retry_after" in fields:
        fields["retry_after"] = timedelta(seconds=fields["retry_after"])
    try:
        return kind(**fields)
    except TypeError:
        return InternalError()


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Entry)
