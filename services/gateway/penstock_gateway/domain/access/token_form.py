"""JSON Web Tokens as they are written: read strictly, within bounds, before anything of them is believed."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock_common.errors import InvalidCredentials

MAX_TOKEN_BYTES = 8 * 1024
_MAX_KEY_ID_LENGTH = 256
_MAX_ALGORITHM_LENGTH = 16
_PART = re.compile(r"[A-Za-z0-9_-]+")
_PARTS = 3

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WrittenToken:
    """What a token says of itself. Nothing of it is proven."""

    algorithm: str
    key_id: str
    """Empty where it names none, as of an issuer that has one key."""
    claims: Claims
    signed: bytes
    """What the signature is of."""
    signature: bytes

    @property
    def issuer(self) -> str:
        """Who says that they made it."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else ""


def may_be_token(text: str) -> bool:
    """Return whether a credential is written as a token, and no key."""
    return text.count(".") == _PARTS - 1


def read_token(text: str) -> WrittenToken:
    """Return what is written; headers that would say where keys are (``jku``, ``x5u``, ``jwk``) are not read.

    Raises:
        InvalidCredentials: if it is too long, is none, says a thing twice, or demands what is not known here.
    """
    if len(text) > MAX_TOKEN_BYTES:
        raise InvalidCredentials(f"The token has more than {MAX_TOKEN_BYTES} bytes.")
    parts = text.split(".")
    if len(parts) != _PARTS:
        raise _malformed()
    header, claims, signature = (_bytes(part) for part in parts)
    said = _object(header)
    if "crit" in said:
        raise InvalidCredentials("The token has critical headers, of which none is known here.")
    algorithm, key_id = said.get("alg"), said.get("kid", "")
    if not isinstance(algorithm, str) or len(algorithm) > _MAX_ALGORITHM_LENGTH:
        raise _malformed()
    if not isinstance(key_id, str) or len(key_id) > _MAX_KEY_ID_LENGTH:
        raise _malformed()
    return WrittenToken(algorithm, key_id, _object(claims), text.rpartition(".")[0].encode(), signature)


def _bytes(part: str) -> bytes:
    if not _PART.fullmatch(part):
        raise _malformed()
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise _malformed() from None


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data, object_pairs_hook=_once, parse_constant=_refused)
    except (ValueError, RecursionError):
        raise _malformed() from None
    if not isinstance(found, dict):
        raise _malformed()
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; one that says a thing twice is read differently by different readers."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _malformed() -> InvalidCredentials:
    return InvalidCredentials("The token is malformed.")
