"""Public keys as issuers publish them (RFC 7517), and the signatures that each can have made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import Algorithm, get_default_algorithms
from jwt.exceptions import InvalidKeyError

from penstock_gateway.domain.access.token_form import WrittenToken

_log = structlog.get_logger(__name__)

# The type and, where there are several, the curve of the keys that an algorithm is for. None of them has a shared secret.
_KEYS_OF = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", "")),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
ALGORITHMS = tuple(_KEYS_OF)
MIN_RSA_BITS = 2048
_MAX_RSA_BITS = 8192
_ALGORITHMS: Mapping[str, Algorithm] = get_default_algorithms()


class JwkSigningKey:
    """Implements ``tokens.SigningKey``; ``published`` is the key as the issuer writes it."""

    def __init__(self, published: Mapping[str, Any]) -> None:
        """Take the key.

        Raises:
            ValueError: if it is none that can sign tokens.
        """
        self.published = published
        self._kind = (published.get("kty"), published.get("crv") or "")
        fitting = [name for name, kind in _KEYS_OF.items() if kind == self._kind]
        if not fitting or published.get("use", "sig") != "sig" or "verify" not in published.get("key_ops", ["verify"]):
            raise ValueError("it signs no tokens")
        only = published.get("alg")
        self._algorithms = frozenset(fitting if only is None else {only}.intersection(fitting))
        self._key = self._public(fitting[0], published)

    @staticmethod
    def _public(algorithm: str, published: Mapping[str, Any]) -> Any:
        # What is private of it is nobody's business, least of all ours.
        public = {name: value for name, value in published.items() if name in {"kty", "crv", "n", "e", "x", "y"}}
        try:
            key = _ALGORITHMS[algorithm].from_jwk(public)
        except (InvalidKeyError, UnsupportedAlgorithm, ValueError, TypeError, KeyError) as error:
            raise ValueError("it cannot be read") from error
        if isinstance(key, RSAPublicKey) and not MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
            raise ValueError(f"it has {key.key_size} bits")
        return key

    def has_signed(self, token: WrittenToken) -> bool:
        """Return whether it has, by an algorithm that fits it."""
        if token.algorithm not in self._algorithms:
            return False
        return bool(_ALGORITHMS[token.algorithm].verify(token.signed, self._key, token.signature))


def keys_in(document: bytes, most: int, before: Mapping[str, JwkSigningKey]) -> dict[str, JwkSigningKey]:
    """Return the keys of a set by their ids; one that is as it was ``before`` is the same object.

    Raises:
        ValueError: if it is no set of keys, or holds none that can sign.
    """
    try:
        listed = json.loads(document)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("it is no set of keys") from None
    found: dict[str, JwkSigningKey] = {}
    for key_id, published in _named(listed if isinstance(listed, list) else ()):
        if len(found) == most:
            _log.warning("oidc_keys_left_out", kept=most, listed=len(listed))
            break
        known = before.get(key_id)
        try:
            found[key_id] = known if known and known.published == published else JwkSigningKey(published)
        except ValueError as error:
            _log.info("oidc_key_left_out", kid=key_id[:64], reason=str(error))
    if not found:
        raise ValueError("it holds no key that signs tokens")
    return found


def _named(listed: Iterable[Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    for published in listed:
        if isinstance(published, dict):
            key_id: object = published.get("kid")
            if isinstance(key_id, str) and key_id:
                yield key_id, published
