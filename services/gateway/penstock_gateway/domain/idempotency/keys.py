"""The Idempotency-Key header: what it may be, whose it is, and what was asked under it.

Its grammar is that of draft-ietf-httpapi-idempotency-key-header-07, a quoted string of RFC 8941, and, as most clients send
it, the bare text: both name the same key. Neither keys nor requests are kept as they are, nor logged: people put e-mail
addresses into keys, and secrets into requests.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.access.identity import Caller

KEY_HEADER = "idempotency-key"
WHEN_BUSY_HEADER = "x-penstock-idempotency"
MAX_KEY_CHARACTERS = 255
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"(?: *;.*)?')
_ESCAPES = ("\\", '"')


class WhenBusy(Enum):
    """What a request gets whose first sending is not answered yet."""

    WAIT = "wait"
    """That answer, within its own time."""
    CONFLICT = "conflict"
    """A refusal at once."""


class Marked(NamedTuple):
    """A request that was sent under a key: digests, of which nobody learns the key or what was asked."""

    mark: str
    """Whose key it is, and which: 64 hexadecimal digits."""
    fingerprint: str
    """What is asked under it: 64 hexadecimal digits."""
    when_busy: WhenBusy


class Marks:
    """Makes marks; ``key`` is that of all processes that share a database, and for nothing else."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, caller: Caller, headers: Mapping[str, str], *asked: bytes) -> Marked:
        """Return what a request that carries the header is known by; ``asked`` is its route, and what it says.

        Another caller's key of the same text is another key: one tenant's keys may differ in what they may see. Rotation
        keeps it: whoever repeats a request by the successor of a key gets what was made by that.

        Raises:
            InvalidRequest: if the header, or the one that says what to do meanwhile, means nothing.
        """
        key, whose = idempotency_key(headers[KEY_HEADER]), (caller.tenant.name, caller.counted_key_id)
        mark = self._digest(b"mark", *(part.encode() for part in whose), key.encode())
        fingerprint = self._digest(b"fingerprint", caller.team.encode(), *asked)
        return Marked(mark, fingerprint, when_busy_in(headers))

    def _digest(self, *parts: bytes) -> str:
        digest = hmac.new(self._key, digestmod="sha256")
        for part in parts:
            # Each with its length, so that no two lists of parts are the same bytes.
            digest.update(len(part).to_bytes(8))
            digest.update(part)
        return digest.hexdigest()


def idempotency_key(text: str) -> str:
    """Return the key that a header names.

    Raises:
        InvalidRequest: if it is not 1 to 255 printable characters of ASCII.
    """
    key = text.strip()
    # The parameters of a string (RFC 8941, 3.3.3) mean nothing here.
    if (match := _STRING.fullmatch(key)) is not None:
        key = _unquoted(match[1])
    elif len(key) > 1 and key[0] == key[-1] == '"':
        key = ""
    if not 0 < len(key) <= MAX_KEY_CHARACTERS or not key.isascii() or not key.isprintable():
        raise InvalidRequest(
            f"Idempotency-Key must have 1 to {MAX_KEY_CHARACTERS} printable characters of ASCII. Take a new UUID for each request.",
            field="Idempotency-Key",
        )
    return key


def when_busy_in(headers: Mapping[str, str]) -> WhenBusy:
    """Return what ``x-penstock-idempotency`` says; to wait, where it is not there.

    Raises:
        InvalidRequest: for a word that means nothing here.
    """
    word = headers.get(WHEN_BUSY_HEADER)
    try:
        return WhenBusy.WAIT if word is None else WhenBusy(word.strip().lower())
    except ValueError:
        text = f"{WHEN_BUSY_HEADER} must be one of {', '.join(each.value for each in WhenBusy)}."
    raise InvalidRequest(text, field=WHEN_BUSY_HEADER)


def _unquoted(text: str) -> str:
    """Return what stands between quotation marks; empty where that is no string of RFC 8941."""
    characters = iter(text)
    plain: list[str] = []
    for character in characters:
        if character == '"':
            return ""
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in _ESCAPES:
                return ""
            plain.append(escaped)
        else:
            plain.append(character)
    return "".join(plain)
