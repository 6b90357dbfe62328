"""Findings in a text that comes in pieces: what may leave now, and how much of the end has to wait.

An end has to wait while something that rules find may have begun in it: a word, a number in groups, a quoted value, a value
that is spelled out. ``hold_back`` says how long it is. It is never longer than what rules find is: ``LONGEST_NUMBER`` characters
where words have ended, ``LONGEST_WORD`` for a word without an end.

``Windows`` looks at places that the text alone decides, so that what it finds is the same wherever the pieces are cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from penstock_gateway.domain.guardrails.pii.blocks import BEGINS, swallowed
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.ongoing import LONGEST_NUMBER, ongoing_from
from penstock_gateway.domain.guardrails.pii.triggers import CUE_REACH, last_triggers

LONGEST_WORD = 4_096
"""Characters of a word without an end that are held; a longer one leaves in parts."""

CONTEXT = 512
"""Characters of what has left already that rules look back at."""

# Where something may be found a look costs more, so there are fewer; and where numbers stand side by side, the fewest.
_LONG_STEP, _LONGEST_STEP = 24, 120
# Behind what a look may end: white space, and signs of scripts that write words together.
_BREAK = re.compile(r"[\s\u3001-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_SPACE = re.compile(r"\s")

Find = Callable[[str], Sequence[Finding]]
__all__ = ["CONTEXT", "LONGEST_NUMBER", "LONGEST_WORD", "Window", "Windows", "hold_back"]


def hold_back(text: str) -> int:
    """Return how many characters at the end of a text may still become part of something that rules find.

    Whatever follows, what is found before them stays found where it is, if it ends before them; what reaches into them is to
    be held from its beginning. At most ``LONGEST_WORD``. Persons and postal addresses are not rules' and need whole sentences.
    """
    return min(len(text) - ongoing_from(text), LONGEST_WORD)


class Window(NamedTuple):
    """Text that may leave now, and what was found in it for good, by places in ``text``, in order.

    ``continues``: the first finding goes on from the window before (a private key, a word without an end), so that it is to be
    replaced by nothing more.
    """

    text: str
    findings: list[Finding]
    continues: bool = False


_NOTHING = Window("", [])


class Windows:
    """Takes pieces of a text and returns what may leave, with what is found in it. Keeps what has to wait, and a context.

    ``find`` is what rules find: ``Detector().findings``.
    """

    def __init__(self, find: Find) -> None:
        self._find = find
        self._context = self._pending = ""
        # The next look is behind this place of what is pending.
        self._looked, self._step = 0, 1
        # Where the last part and the last cue of something stand, from where what is pending begins.
        self._part = self._cue = -CUE_REACH
        self._open: Kind | None = None
        self._in_key = False

    @property
    def held(self) -> int:
        """Characters that wait."""
        return len(self._pending)

    def feed(self, piece: str) -> Window:
        """Return what may leave after this piece; its text is empty where nothing may."""
        self._pending += piece
        return self._drained(is_last=False)

    def late(self, *, is_all: bool) -> Window:
        """Return what may leave of what waits, looked at as it stands; with ``is_all`` nothing waits any longer.

        What goes on behind what has left so, and is found then, is found from there on.
        """
        if self._in_key or self._open is not None or not self._pending:
            return _NOTHING
        return self._look(len(self._pending), is_last=is_all)

    def end(self) -> Window:
        """Return the rest; nothing may follow."""
        return self._drained(is_last=True)

    def _drained(self, *, is_last: bool) -> Window:
        windows: list[Window] = []
        while (window := self._next(is_last=is_last)) is not None:
            if window.text:
                windows.append(window)
        if not windows:
            return _NOTHING
        return windows[0] if len(windows) == 1 else _merged(windows)

    def _next(self, *, is_last: bool) -> Window | None:
        """Return the next window, empty where a look lets nothing go; None: more has to come first."""
        if self._in_key:
            return self._of_key(is_last=is_last)
        if self._open is not None:
            return self._of_word()
        place = self._place(is_last=is_last)
        return None if place is None else self._look(place, is_last=is_last and place == len(self._pending))

    def _place(self, *, is_last: bool) -> int | None:
        """Return up to where the next look goes: behind the next end of a word; the text alone decides."""
        found = _BREAK.search(self._pending, self._looked + self._step - 1)
        place = found.end() if found else len(self._pending) + 1
        if place > LONGEST_WORD:
            place = max(LONGEST_WORD, self._looked + 1)
        if place <= len(self._pending):
            return place
        return len(self._pending) if is_last and self._pending else None

    def _look(self, place: int, *, is_last: bool) -> Window:
        text, offset = self._context + self._pending[:place], len(self._context)
        seen = last_triggers(text, offset + self._looked)
        self._part = max(self._part, seen.part - offset)
        self._cue = max(self._cue, seen.cue - offset)
        self._looked = place
        if begins := _private_key(text, offset):
            before = begins.start() - offset
            return self._leave(before, self._found(text, offset)) if before else self._begin_key(begins[0])
        held = 0 if is_last else hold_back(text)
        self._step = self._next_step(held)
        cut = place - held
        if cut <= 0 and place < LONGEST_WORD:
            return _NOTHING
        found = self._found(text, offset) if self._part >= 0 or self._cue > -CUE_REACH else []
        cut = _before(found, cut)
        if cut > 0:
            return self._leave(cut, found)
        return self._leave_open(place, found) if place >= LONGEST_WORD else _NOTHING

    def _next_step(self, held: int) -> int:
        if self._part < 0 and self._cue <= -CUE_REACH:
            return 1
        return _LONG_STEP if held < LONGEST_NUMBER else _LONGEST_STEP

    def _found(self, text: str, offset: int) -> list[Finding]:
        return [
            one._replace(start=max(0, one.start - offset), end=one.end - offset)
            for one in self._find(text)
            if one.end > offset
        ]

    def _leave(self, cut: int, found: Sequence[Finding]) -> Window:
        """Return what is pending up to ``cut``, which no finding lies across."""
        window = Window(self._pending[:cut], [one for one in found if one.end <= cut])
        self._go(cut)
        return window

    def _leave_open(self, cut: int, found: Sequence[Finding]) -> Window:
        """Return a part of a word that is too long to wait for its end; what reaches its end goes on."""
        self._open = next((one.kind for one in found if one.end >= cut), None)
        return self._leave(cut, [one._replace(end=min(one.end, cut)) for one in found])

    def _go(self, cut: int) -> None:
        self._context = (self._context + self._pending[:cut])[-CONTEXT:]
        self._pending = self._pending[cut:]
        self._looked = max(0, self._looked - cut)
        self._part, self._cue = max(self._part - cut, -CUE_REACH), max(self._cue - cut, -CUE_REACH)

    def _begin_key(self, begins: str) -> Window:
        self._in_key, self._context, self._looked, self._step = True, "", 0, 1
        self._pending = self._pending[len(begins) :]
        return Window(begins, [Finding(Kind.API_KEY, 0, len(begins), 1.0)])

    def _of_key(self, *, is_last: bool) -> Window | None:
        part = swallowed(self._pending, LONGEST_WORD, is_last=is_last)
        text, self._pending = self._pending[: part.length], self._pending[part.length :]
        self._in_key = not part.is_over
        if not text:
            return _NOTHING if part.is_over else None
        return Window(text, [Finding(Kind.API_KEY, 0, len(text), 1.0)], continues=True)

    def _of_word(self) -> Window | None:
        """Return what comes of a word that has left in part: it is what its beginning was."""
        if not self._pending or self._open is None:
            return None
        stop = _SPACE.search(self._pending)
        end = stop.start() if stop else len(self._pending)
        kind = self._open
        if stop:
            self._open = None
        text = self._pending[:end]
        self._go(end)
        return Window(text, [Finding(kind, 0, end, 1.0)], continues=True) if text else _NOTHING


def _before(found: Sequence[Finding], cut: int) -> int:
    """Return the last place up to ``cut`` that no finding lies across."""
    for one in reversed(found):
        if one.start < cut < one.end:
            cut = one.start
    return cut


def _private_key(text: str, offset: int) -> re.Match[str] | None:
    return BEGINS.search(text, offset) if "PRIVATE KEY" in text else None


def _merged(windows: Sequence[Window]) -> Window:
    """Return windows that follow one another as one."""
    findings: list[Finding] = []
    length = 0
    for one in windows:
        moved = [each._replace(start=each.start + length, end=each.end + length) for each in one.findings]
        if one.continues and findings:
            findings[-1] = findings[-1]._replace(end=moved.pop(0).end)
        findings += moved
        length += len(one.text)
    return Window("".join(one.text for one in windows), findings, windows[0].continues)
