"""Stands pseudonyms in for originals, the same ones for the whole of a conversation, and restores them.

A pseudonym is an HMAC of its original under the conversation's key, so that a conversation that is sent again from its
beginning gets the same ones without anything kept: what a provider caches, and what it signed, stays valid.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Sequence

from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.redaction import replaced

# Letters and digits of a pseudonym: 50 bits, and none that read like others.
_CODE_LENGTH = 10
_TRIES = 64
_LEAST_KNOWN = 3

Find = Callable[[str], Sequence[Finding]]


class PseudonymsExhausted(Exception):
    """All pseudonyms that were tried for an original are taken: the conversation's key is no random one."""


def key_of(secret: bytes, conversation: str) -> bytes:
    """Return the key of a conversation, by HMAC-SHA-256 of its name under a secret of the tenant's."""
    return hmac.digest(secret, b"penstock pseudonyms 1\0" + conversation.encode(), hashlib.sha256)


class Pseudonyms:
    """One conversation's pseudonyms. Only ever grows: what an original was called, it is called always."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._by_original: dict[tuple[Kind, str], str] = {}
        self._originals: dict[str, str] = {}
        self._kinds: dict[str, Kind] = {}

    def __len__(self) -> int:
        return len(self._originals)

    @property
    def originals(self) -> dict[str, str]:
        """Originals by their pseudonyms, to be kept nowhere."""
        return dict(self._originals)

    @property
    def hold_back(self) -> int:
        """Characters that a stream has to hold back: one less than the longest pseudonym has."""
        return max((len(one) for one in self._originals), default=1) - 1

    def pseudonym(self, kind: Kind, original: str) -> str:
        """Return what the original is called, in a form that says its kind; new if it has no name yet.

        Raises:
            PseudonymsExhausted: if no free one was found.
        """
        known = self._by_original.get((kind, original))
        if known is not None:
            return known
        for turn in range(_TRIES):
            made = _formed(kind, self._code(kind, original, turn))
            if self._is_free(made):
                self._by_original[kind, original] = made
                self._originals[made] = original
                if len(original) >= _LEAST_KNOWN:
                    self._kinds[original] = kind
                return made
        raise PseudonymsExhausted(f"no free pseudonym of kind {kind.value}")

    def _code(self, kind: Kind, original: str, turn: int) -> str:
        said = f"{kind.value}\0{turn}\0{original}".encode()
        digest = hmac.digest(self._key, said, hashlib.sha256)
        return base64.b32encode(digest)[:_CODE_LENGTH].decode().lower()

    def _is_free(self, made: str) -> bool:
        """Return whether no original is or holds it, and no other pseudonym begins with it or is its beginning."""
        others = self._originals
        return not any(made.startswith(one) or one.startswith(made) or made in others[one] for one in others)

    def pseudonymised(self, text: str, findings: Sequence[Finding]) -> str:
        """Return the text with pseudonyms for what was found, and for what was found earlier wherever it stands again."""
        again = self._again(text, findings)
        return replaced(text, again, lambda one, original: self.pseudonym(one.kind, original))

    def _again(self, text: str, findings: Sequence[Finding]) -> list[Finding]:
        # Most originals stand in few texts, and a pattern of all would be made anew for each.
        kinds = {original: kind for original, kind in self._kinds.items() if original in text}
        if not kinds:
            return list(findings)
        longest_first = sorted(kinds, key=len, reverse=True)
        known = re.compile(r"(?<![^\W_])(?:" + "|".join(map(re.escape, longest_first)) + r")(?![^\W_])")
        seen = [
            Finding(kinds[match[0]], match.start(), match.end(), 1.0)
            for match in known.finditer(text)
            if not any(one.start < match.end() and match.start() < one.end for one in findings)
        ]
        return sorted([*findings, *seen], key=lambda one: one.start)

    def restored(self, text: str) -> str:
        """Return the text with the originals in the place of their pseudonyms."""
        if not self._originals:
            return text
        pattern = "|".join(map(re.escape, self._originals))
        return re.sub(pattern, lambda match: self._originals[match[0]], text)


def _formed(kind: Kind, code: str) -> str:
    """Return a pseudonym that looks like its kind, where that is simple, and is no one's."""
    if kind is Kind.EMAIL:
        return f"{code}@mail.invalid"
    if kind is Kind.URL_WITH_TOKEN:
        return f"https://link.invalid/{code}"
    if kind is Kind.PERSON:
        return f"Person-{code.upper()}"
    if kind is Kind.API_KEY:
        # Behind the word "key" it would be found as one.
        return f"Value-{code.upper()}"
    return f"{kind.value.upper()}-{code.upper()}"


def conversation_pseudonymised(texts: Iterable[str], find: Find, pseudonyms: Pseudonyms) -> list[str]:
    """Return a conversation's texts, oldest first, each with pseudonyms for what was found in it or before it.

    What becomes of a text depends on it and on those before it alone, so it is the same however the conversation goes on.
    """
    return [pseudonyms.pseudonymised(text, find(text)) for text in texts]
