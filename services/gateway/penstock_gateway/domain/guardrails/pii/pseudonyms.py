"""Stands pseudonyms in for originals, the same ones for the whole of a conversation, and restores them.

A pseudonym is an HMAC of its original under the conversation's key, so that a conversation that is sent again from its
beginning gets the same ones without anything kept: what a provider caches, and what it signed, stays valid.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.forms import CODE_LENGTH, formed, forms_in, restored
from penstock_gateway.domain.guardrails.pii.redaction import replaced

_TRIES = 64
_LEAST_KNOWN = 3
_RUN = re.compile(r"[^\W_]+")

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
        # By the first letters or digits in a row of originals: how much stands before these, and how long the whole is.
        self._places: dict[str, list[tuple[int, int]]] = {}
        # What looks like a pseudonym in an original.
        self._in_originals: set[str] = set()

    def __len__(self) -> int:
        return len(self._originals)

    @property
    def originals(self) -> Mapping[str, str]:
        """Originals by their pseudonyms, to be kept nowhere; it grows with them."""
        return MappingProxyType(self._originals)

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
            made = formed(kind, self._code(kind, original, turn))
            if self._is_free(made):
                self._by_original[kind, original] = made
                self._originals[made] = original
                self._in_originals.update(forms_in(original))
                self._remember(kind, original)
                return made
        raise PseudonymsExhausted(f"no free pseudonym of kind {kind.value}")

    def _code(self, kind: Kind, original: str, turn: int) -> str:
        said = f"{kind.value}\0{turn}\0{original}".encode()
        digest = hmac.digest(self._key, said, hashlib.sha256)
        return base64.b32encode(digest)[:CODE_LENGTH].decode().lower()

    def _is_free(self, made: str) -> bool:
        """Return whether no original is or holds it, and it is no other's: none begins with another (see ``formed``)."""
        return made not in self._originals and made not in self._in_originals

    def pseudonymised(self, text: str, findings: Sequence[Finding]) -> str:
        """Return the text with pseudonyms for what was found, and for what was found earlier wherever it stands again."""
        again = self._again(text, findings)
        return replaced(text, again, lambda one, original: self.pseudonym(one.kind, original))

    def _again(self, text: str, findings: Sequence[Finding]) -> list[Finding]:
        starts = [one.start for one in findings]

        def is_new(one: Finding) -> bool:
            before = bisect_left(starts, one.end) - 1
            return before < 0 or findings[before].end <= one.start

        seen = [one for one in self._known_in(text) if is_new(one)]
        return sorted([*findings, *seen], key=lambda one: one.start) if seen else list(findings)

    def _known_in(self, text: str) -> Iterator[Finding]:
        """Yield the originals that stand in a text between borders of words: the first ones, and the longest of these."""
        end = 0
        for run in _RUN.finditer(text) if self._places else ():
            for before, length in self._places.get(run[0], ()):
                start = run.start() - before
                is_there = end <= start <= len(text) - length
                kind = self._kinds.get(text[start : start + length]) if is_there else None
                if kind is not None and _is_bordered(text, start, start + length):
                    end = start + length
                    yield Finding(kind, start, end, 1.0)
                    break

    def _remember(self, kind: Kind, original: str) -> None:
        """Have an original known wherever it stands again: by its first letters or digits in a row."""
        run = _RUN.search(original)
        if len(original) < _LEAST_KNOWN or run is None:
            return
        self._kinds[original] = kind
        places = self._places.setdefault(run[0], [])
        place = (run.start(), len(original))
        if place not in places:
            places.append(place)
            places.sort(reverse=True)

    def restored(self, text: str) -> str:
        """Return the text with the originals in the place of their pseudonyms."""
        return restored(text, self._originals)


def _is_bordered(text: str, start: int, end: int) -> bool:
    """Return whether no letter or digit stands right before or behind."""
    return not text[max(0, start - 1) : start].isalnum() and not text[end : end + 1].isalnum()


def conversation_pseudonymised(texts: Iterable[str], find: Find, pseudonyms: Pseudonyms) -> list[str]:
    """Return a conversation's texts, oldest first, each with pseudonyms for what was found in it or before it.

    What becomes of a text depends on it and on those before it alone, so it is the same however the conversation goes on.
    """
    return [pseudonyms.pseudonymised(text, find(text)) for text in texts]
