"""Restores and redacts what comes in pieces, so that what comes out is the same wherever the pieces are cut."""

from __future__ import annotations

import codecs
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from penstock_gateway.domain.guardrails.pii.blocks import BEGINS, swallowed
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.forms import known_in
from penstock_gateway.domain.guardrails.pii.redaction import Replacement, in_brackets

# Characters that the redactor holds back at most, where white space comes in time.
HOLD_BACK = 256
# The end of a piece in which something may just begin.
_TAIL = 96
# Characters of what has left already that rules look back at.
_CONTEXT = 160
# Without white space as many are held: a longer word leaves in parts of this length.
HOLD_BACK_OF_A_WORD = 4096
_BOUNDARY = re.compile(r"(?<=[^\W\d_]{4})[.!?][\"')\]]?(?=\s[^\d\s])|\n(?=\S)|[。！？](?=[^\d])")
_ABBREVIATED = re.compile(r"(?:blvd|avda|prof|ulica|bldg|geb|str)$", re.IGNORECASE)
_BREAKS = re.compile(r"\s|[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]")

Find = Callable[[str], Sequence[Finding]]


class TextStream(Protocol):
    """Takes pieces of a text and returns what may leave."""

    def feed(self, piece: str) -> str:
        """Return what may leave after this piece."""
        ...

    def end(self) -> str:
        """Return the rest; nothing may follow."""
        ...


class RestoringStream:
    """Puts originals in the place of pseudonyms. Holds back only what may be the beginning of one."""

    def __init__(self, originals: Mapping[str, str]) -> None:
        self._originals = originals
        self._names = sorted(originals)
        self.hold_back = max((len(one) for one in originals), default=1) - 1
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return what may leave: all but an end that may be the beginning of a pseudonym."""
        if not self._names:
            return piece
        text, last, parts = self._held + piece, 0, list[str]()
        for match in known_in(text, self._originals):
            parts += (text[last : match.start()], self._originals[match[0]])
            last = match.end()
        kept = self._kept(text, last)
        self._held = text[kept:]
        return "".join([*parts, text[last:kept]])

    def _kept(self, text: str, earliest: int) -> int:
        for start in range(max(earliest, len(text) - self.hold_back), len(text)):
            if self._begins_one(text[start:]):
                return start
        return len(text)

    def _begins_one(self, end: str) -> bool:
        at = bisect_left(self._names, end)
        return at < len(self._names) and self._names[at].startswith(end)

    def end(self) -> str:
        """Return what was held: the beginning of no pseudonym."""
        held, self._held = self._held, ""
        return held


class RedactingStream:
    """Puts something in the place of what is found. Looks at each piece between ends of sentences once it is whole.

    Holds back up to 256 characters, or a word of up to 4,096; a private key as a whole, of which nothing is kept.
    """

    def __init__(self, find: Find, replacement: Replacement = in_brackets) -> None:
        self._find, self._replacement = find, replacement
        self._context = self._pending = ""
        self._passed, self._window = 0, HOLD_BACK
        self._in_key = False

    def feed(self, piece: str) -> str:
        """Return what may leave after this piece."""
        self._pending += piece
        parts: list[str] = []
        while (out := self._step(is_last=False)) is not None:
            parts.append(out)
        return "".join(parts)

    def end(self) -> str:
        """Return the rest."""
        parts: list[str] = []
        while self._pending and (out := self._step(is_last=True)) is not None:
            parts.append(out)
        return "".join(parts)

    def _step(self, *, is_last: bool) -> str | None:
        """Return what leaves next; None: more has to come first."""
        if self._in_key:
            return self._swallow_key(is_last=is_last)
        if begins := BEGINS.search(self._pending[:HOLD_BACK]):
            return self._leave(begins.start()) if begins.start() else self._begin_key(begins)
        boundary = self._boundary()
        if boundary is not None:
            return self._at_boundary(boundary)
        if len(self._pending) >= HOLD_BACK:
            return self._at_window(is_last=is_last)
        return self._leave(len(self._pending)) if is_last else None

    def _boundary(self) -> int | None:
        """Return where a sentence or a line ends within the window, behind those that were passed."""
        view = self._pending[:HOLD_BACK]
        for match in _BOUNDARY.finditer(view, self._passed):
            if not _ABBREVIATED.search(view, max(0, match.start() - 8), match.start()):
                return match.end()
        return None

    def _at_boundary(self, boundary: int) -> str:
        """Return what leaves up to a boundary; nothing where something found may go on behind it."""
        if any(end >= boundary - 2 for _, end, _ in self._found(boundary)):
            self._passed = boundary
            return ""
        return self._leave(boundary)

    def _at_window(self, *, is_last: bool) -> str | None:
        """Return what leaves of a window without an end of a sentence; without white space it grows, and is looked at anew."""
        while self._window <= len(self._pending):
            cut = self._cut(self._window)
            if cut is not None:
                return self._leave(cut, seen=self._window)
            if self._window >= HOLD_BACK_OF_A_WORD:
                return self._leave(HOLD_BACK_OF_A_WORD)
            self._window *= 2
        return self._leave(len(self._pending)) if is_last else None

    def _cut(self, limit: int) -> int | None:
        """Return where the window may be cut: at white space, not within something found, not in its tail."""
        spans = self._found(limit)
        for place in range(limit - _TAIL, 0, -1):
            if _BREAKS.match(self._pending[place]) and not any(start <= place < end for start, end, _ in spans):
                return place
        return None

    def _found(self, seen: int) -> list[tuple[int, int, Finding]]:
        """Return what is found in the next characters, with what has left before them, by places in what is pending."""
        offset = len(self._context)
        return [
            (max(0, one.start - offset), one.end - offset, one)
            for one in self._find(self._context + self._pending[:seen])
            if one.end > offset
        ]

    def _leave(self, end: int, seen: int | None = None) -> str:
        """Return the next characters up to ``end`` as they leave."""
        parts: list[str] = []
        last = 0
        for start, stop, one in self._found(seen or end):
            if start < end:
                parts += (self._pending[last:start], self._replacement(one, self._pending[start:stop]))
                last = stop
        parts.append(self._pending[last : max(last, end)])
        end = max(last, end)
        self._context = (self._context + self._pending[:end])[-_CONTEXT:]
        self._pending, self._passed, self._window = self._pending[end:], 0, HOLD_BACK
        return "".join(parts)

    def _begin_key(self, begins: re.Match[str]) -> str:
        original = begins[0]
        self._pending, self._passed, self._context = self._pending[begins.end() :], 0, ""
        self._window = HOLD_BACK
        self._in_key = True
        return self._replacement(Finding(Kind.API_KEY, 0, len(original), 1.0), original)

    def _swallow_key(self, *, is_last: bool) -> str | None:
        """Let go of a private key up to its end; where it ends without one, go on as usual."""
        part = swallowed(self._pending, HOLD_BACK_OF_A_WORD, is_last=is_last)
        self._pending = self._pending[part.length :]
        if not part.is_over:
            return None
        self._in_key = False
        return ""


class ByteStream:
    """Lets a stream of text take bytes of UTF-8 that are cut anywhere; a character that is not whole waits."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, piece: bytes) -> bytes:
        """Return what may leave after these bytes."""
        return self._stream.feed(self._decoder.decode(piece)).encode()

    def end(self) -> bytes:
        """Return the rest."""
        return (self._stream.feed(self._decoder.decode(b"", final=True)) + self._stream.end()).encode()
