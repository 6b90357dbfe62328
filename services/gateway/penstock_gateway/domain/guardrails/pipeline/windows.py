"""What of a streamed text may leave: each rule holds back only what it needs, and sees what those before it let through.

What comes out is the same wherever the pieces are cut, as long as nothing of it is ``late``: what has waited for as long as it
may is looked at as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from penstock_gateway.domain.guardrails.injection.beginnings import begun
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.ongoing import ongoing_from
from penstock_gateway.domain.guardrails.pii.streams import RestoringStream
from penstock_gateway.domain.guardrails.pii.windows import Window, Windows
from penstock_gateway.domain.guardrails.pipeline.json_texts import replaced
from penstock_gateway.domain.guardrails.pipeline.rule import Found, Hold, Late
from penstock_gateway.domain.guardrails.plain import last_seen, place_of

# What has left already and is looked at again, so that a rule sees what stands before.
_CONTEXT = 300
# Stands for what has left, of which borders of words alone are known: no rule looks for it.
_A_LETTER, _NO_LETTER = "\u00aa", "\x1f"
# Characters of a word, most of them such as nobody sees, and of a sentence that are held at most.
MOST_HELD = 16_384
MOST_OF_A_SENTENCE = 1024
# The longest address that is looked for, and what stands around it.
_MOST_OF_A_CARRIER = 4400
_SENTENCE = re.compile(r"(?<=[^\W\d_]{3})[.!?][\"')\]]?\s(?=[^\d\s])|\n(?=\S)|[\u3002\uff01\uff1f](?=[^\d])")
_BREAK = re.compile(r"\s")

Find = Callable[[str], Sequence[Found]]
FindBeside = Callable[[str], Awaitable[Sequence[Found]]]
Act = Callable[[Sequence[Found], str], None]
"""Hears what was found for good, and the text that it stands in; raises what ends the answer."""


class Stage(Protocol):
    """Takes pieces of a text and returns what may leave."""

    @property
    def held(self) -> int:
        """Characters that wait."""
        ...

    async def feed(self, piece: str) -> str:
        """Return what may leave after this piece."""
        ...

    async def late(self, late: Late) -> str:
        """Return what may leave of what has waited for as long as it may; more may follow."""
        ...

    async def end(self) -> str:
        """Return the rest; nothing may follow."""
        ...


class WidthStage:
    """Holds back what may have begun, where its rule can tell that.

    At most, and else always, these are as many characters as the longest finding has, and one more, by which its end is known.

    Those that nobody sees are not counted: as many of them may stand in what is found as are held at most.
    """

    def __init__(self, find: Find, act: Act, hold: Hold) -> None:
        self._find, self._act, self._width, self._begun = find, act, hold.width + 1, hold.begun
        self._before = self._held = ""
        # So many characters may yet leave before nothing found can begin in what left too early.
        self._early = 0

    @property
    def held(self) -> int:
        """Characters that wait."""
        return len(self._held)

    async def feed(self, piece: str) -> str:
        """Return what may leave."""
        self._held += piece
        if not last_seen(piece):
            # Nothing has ended, and all that is held would be looked at again for it.
            return self._leave(len(self._held) - MOST_HELD)
        cut = place_of(self._held, self._width) if self._begun is None else self._begun(self._held)
        return self._leave(max(cut, len(self._held) - MOST_HELD))

    async def late(self, late: Late) -> str:
        """Return what no finding may begin in, or all: what goes on from there is found from there on."""
        if late is Late.ALL:
            self._early = len(self._held) + self._width
            return self._leave(len(self._held))
        return self._leave(self._begun(self._held)) if late is Late.WORDS and self._begun is not None else ""

    async def end(self) -> str:
        """Return the rest."""
        return self._leave(len(self._held))

    def _leave(self, cut: int) -> str:
        if cut <= 0:
            return ""
        offset = len(self._before)
        text = self._before + self._held
        found = [
            one._replace(start=max(one.start, offset))
            for one in self._find(text)
            if one.start < offset + cut and (one.start >= offset or (self._early and one.end > offset))
        ]
        cut = max([cut, *(one.end - offset for one in found)])
        if found:
            self._act(found, text[: offset + cut])
        out = replaced(
            self._held[:cut], [one._replace(start=one.start - offset, end=one.end - offset) for one in found]
        )
        self._note_left(text[: offset + cut], cut)
        self._held = self._held[cut:]
        return out

    def _note_left(self, text: str, cut: int) -> None:
        """Keep what is to be known of what has left, which ``text`` ends with."""
        self._early = max(0, self._early - cut)
        if self._early:
            self._before = text[max(0, place_of(text, self._width)) :]
        elif last := last_seen(text[-cut:]):
            self._before = _A_LETTER if _is_of_a_word(last) else _NO_LETTER
        elif len(self._before) > 1:
            last = last_seen(text)
            self._before = _A_LETTER if last and _is_of_a_word(last) else _NO_LETTER


class CarrierStage:
    """Holds back what may be a link, an image or a tag that has begun; all else leaves at once."""

    def __init__(self, find: Find, act: Act) -> None:
        self._find, self._act = find, act
        self._held = ""
        # What has left of something that has begun and may go on.
        self._early = ""

    @property
    def held(self) -> int:
        """Characters that wait."""
        return len(self._held)

    async def feed(self, piece: str) -> str:
        """Return what may leave."""
        self._held += piece
        return self._leave(begun(self._early + self._held) - len(self._early))

    async def late(self, late: Late) -> str:
        """Return all where all may leave: else nothing, as what waits has begun."""
        if late is not Late.ALL:
            return ""
        early = self._early + self._held
        out = self._leave(len(self._held))
        self._early = early[-_MOST_OF_A_CARRIER:]
        return out

    async def end(self) -> str:
        """Return the rest."""
        return self._leave(len(self._held))

    def _leave(self, cut: int) -> str:
        if cut <= 0:
            return ""
        offset, text = len(self._early), self._early + self._held[:cut]
        self._early, self._held = "", self._held[cut:]
        found = [
            one._replace(start=max(0, one.start - offset), end=one.end - offset)
            for one in self._find(text)
            if one.end > offset
        ]
        if found:
            self._act([one._replace(start=one.start + offset, end=one.end + offset) for one in found], text)
        return replaced(text[offset:], found) if found else text[offset:]


class PersonalStage:
    """Holds back words in which personal data may have begun, and private keys as a whole."""

    def __init__(self, find: Find, act: Act, *, keys: bool) -> None:
        """``keys``: private keys are looked for, too."""
        self._find, self._act, self._keys = find, act, keys
        self._windows = Windows(self._findings)

    @property
    def held(self) -> int:
        """Characters that wait."""
        return self._windows.held

    async def feed(self, piece: str) -> str:
        """Return what may leave."""
        return self._out(self._windows.feed(piece))

    async def late(self, late: Late) -> str:
        """Return what nothing has begun in, or all."""
        return "" if late is Late.WAIT else self._out(self._windows.late(is_all=late is Late.ALL))

    async def end(self) -> str:
        """Return the rest."""
        return self._out(self._windows.end())

    def _findings(self, text: str) -> list[Finding]:
        return [Finding(Kind(one.kind), one.start, one.end, 1.0) for one in self._find(text)]

    def _out(self, window: Window) -> str:
        found = [
            Found(one.kind.value, one.start, one.end, f"[{one.kind.value.upper()}]")
            for one in window.findings
            if self._keys or one.kind is not Kind.API_KEY
        ]
        if not found:
            return window.text
        goes_on = window.continues and found[0].start == 0
        new = found[1:] if goes_on else found
        if new:
            self._act(new, window.text)
        return replaced(window.text, [found[0]._replace(mark=""), *new] if goes_on else found)


class SentenceStage:
    """Holds back sentences, for rules that look beside or at more than a few words."""

    def __init__(self, find: FindBeside, act: Act, *, personal: bool = False) -> None:
        """``personal``: it looks for personal data, too, which may have begun in whole words."""
        self._find, self._act, self._personal = find, act, personal
        self._context = self._held = ""

    @property
    def held(self) -> int:
        """Characters that wait."""
        return len(self._held)

    async def feed(self, piece: str) -> str:
        """Return what may leave."""
        self._held += piece
        out: list[str] = []
        while (cut := _sentence_of(self._held)) > 0:
            out.append(await self._leave(cut))
        return "".join(out)

    async def late(self, late: Late) -> str:
        """Return whole words, but what is found in the last ones and may go on; or all."""
        if late is Late.ALL:
            return await self._leave(len(self._held))
        return await self._leave(self._words(), goes_on=True) if late is Late.WORDS else ""

    async def end(self) -> str:
        """Return the rest."""
        return await self._leave(len(self._held)) if self._held else ""

    def _words(self) -> int:
        """Return up to where words are whole, and nothing has begun that is told by its signs."""
        cut = max((one.end() for one in _BREAK.finditer(self._held)), default=0)
        if self._personal:
            cut = min(cut, ongoing_from(self._context + self._held) - len(self._context))
        return max(0, cut)

    async def _leave(self, cut: int, *, goes_on: bool = False) -> str:
        if not cut:
            return ""
        text, offset = self._context + self._held[:cut], len(self._context)
        found = [
            one._replace(start=max(0, one.start - offset), end=one.end - offset)
            for one in await self._find(text)
            if one.end > offset
        ]
        if goes_on and (last := [one for one in found if one.end >= len(self._held[:cut].rstrip())]):
            cut = min(one.start for one in last)
            text, found = text[: offset + cut], [one for one in found if one.end <= cut]
        if found:
            self._act(found, text)
        out = replaced(self._held[:cut], found)
        self._context, self._held = text[-_CONTEXT:], self._held[cut:]
        return out


class KeysStage:
    """Swallows private keys before another stage sees the text: their lines end no sentence of it."""

    def __init__(self, act: Act, behind: Stage) -> None:
        self._keys, self._behind = PersonalStage(_nothing, act, keys=True), behind

    @property
    def held(self) -> int:
        """Characters that wait."""
        return self._keys.held + self._behind.held

    async def feed(self, piece: str) -> str:
        """Return what may leave."""
        text = await self._keys.feed(piece)
        return await self._behind.feed(text) if text else ""

    async def late(self, late: Late) -> str:
        """Return what may leave."""
        text = await self._keys.late(late)
        return (await self._behind.feed(text) if text else "") + await self._behind.late(late)

    async def end(self) -> str:
        """Return the rest."""
        text = await self._keys.end()
        return (await self._behind.feed(text) if text else "") + await self._behind.end()


def _is_of_a_word(one: str) -> bool:
    return one.isalnum() or one == "_"


def _nothing(_: str) -> Sequence[Found]:
    return ()


def _sentence_of(text: str) -> int:
    """Return where the first sentence ends; 0 where none does."""
    if one := _SENTENCE.search(text, 0, MOST_OF_A_SENTENCE):
        return one.end()
    if len(text) < MOST_OF_A_SENTENCE:
        return 0
    blanks = [one.end() for one in _BREAK.finditer(text, MOST_OF_A_SENTENCE // 2, MOST_OF_A_SENTENCE)]
    return blanks[-1] if blanks else MOST_OF_A_SENTENCE


class RestoringStage:
    """Puts originals in the place of their pseudonyms."""

    def __init__(self, originals: Mapping[str, str]) -> None:
        self._stream = RestoringStream(originals)

    async def feed(self, piece: str) -> str:
        """Return what may leave."""
        return self._stream.feed(piece)

    async def end(self) -> str:
        """Return the rest."""
        return self._stream.end()


def stage_of(hold: Hold, find: Find, find_beside: FindBeside | None, act: Act) -> Stage:
    """Return what holds back as a rule needs; ``find_beside`` is set where it looks beside."""
    if find_beside is not None:
        behind = SentenceStage(find_beside, act, personal=hold.personal)
        return KeysStage(act, behind) if hold.keys else behind
    if hold.carriers:
        return CarrierStage(find, act)
    if hold.personal:
        return PersonalStage(find, act, keys=hold.keys)
    if hold.by_sentence:

        async def found(text: str) -> Sequence[Found]:
            return find(text)

        return SentenceStage(found, act)
    return WidthStage(find, act, hold)
