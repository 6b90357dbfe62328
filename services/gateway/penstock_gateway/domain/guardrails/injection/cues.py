"""The cues of a piece in their places: in which sentence, whether they are quoted, and whether a machine is spoken to."""

from __future__ import annotations

import re
from typing import NamedTuple

from penstock_gateway.domain.guardrails.injection.finding import Surface
from penstock_gateway.domain.guardrails.injection.lexicon import Hit, lexicon

_QUOTED = re.compile(
    r"\"[^\"\n]{3,400}\"|“[^”]{3,400}”|„[^“”\"]{3,400}[“”\"]|«[^»]{3,400}»|「[^」]{2,200}」|『[^』]{2,200}』|`[^`\n]{3,400}`"
    r"|(?<!\w)'[^'\n]{3,200}'(?!\w)|‘[^’\n]{3,200}’"
)
_BEFORE_VALUES = frozenset("=:{|(")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+|(?<=[。！？])|\]|-->|<!--|\s\|\s|(?<=\")[,}]")
# What stands before a machine that is spoken to: nothing, a mark, a greeting, or whom a note is for.
_CALLED = re.compile(
    r"(?:^|[.!?:;\n>\]\[(*#\"'|{}@/—–-]\s*|\b(?:dear|hey|hi|hello|to|for|to the|to any|to all|to every|to an|to a|to our|to each|attention|note|o|"
    r"all|any|every|if you are an|if you're an|if you are a|if you're a|as an|an|die|an den|an die|für|à l'|aux|au|para|a la|al|per|aan|voor|dla|"
    r"для|к)\s*)$"
)
_CALLING = re.compile(r"^[\w ()'/-]{0,45}?(?:[:,，：、]|\s[-–—]\s|\s(?:->|=>))")
_OWN_WORK = re.compile(r"^['’]s\b|^\s(?:is|was|has been|answers|told|said|called|button|nurse|handbook|professor)\b")


# Where data or people are sent: an address, a host, a number to call.
_PLACE = re.compile(
    r"https?://[^\s)\"'>\]]{4,}|[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+|(?<!\w-)\b[\w-]+(?:\.[\w-]+){0,3}\.(?:example|com|net|org|io|co|dev|info|biz|app|xyz)\b"
    r"|\b0[89]00[\d /-]{4,}|\b555[ -]\d{4}",
    re.IGNORECASE,
)
# What each of those has; looking for it costs next to nothing, and most texts have none.
_MAY_BE_A_PLACE = re.compile(
    r"@|://|\.(?:example|com|net|org|io|co|dev|info|biz|app|xyz)\b|0[89]00[\d /-]|555[ -]", re.IGNORECASE
)
_QUOTES = re.compile("[\"“„«「『`'‘]")


class Cue(NamedTuple):
    """A cue in its place."""

    start: int
    end: int
    concept: str
    sentence: int
    quoted: bool

    @property
    def name(self) -> str:
        """What it says; marked where it is quoted."""
        return self.concept + "'" if self.quoted else self.concept


def lowered(text: str) -> str:
    """Return the text in small letters, of the same length."""
    low = text.lower()
    if len(low) != len(text):
        # Some capitals grow when they are made small (İ): then places would be wrong.
        low = "".join(small if len(small := character.lower()) == 1 else character for character in text)
    return low


def cues_of(text: str, surface: Surface, hits: list[Hit] | None = None) -> list[Cue]:
    """Return the cues of a piece, in order.

    A machine that is spoken to is one more, ``called``, and so is a ``place``: an address, a host, a number.

    Quoted values of JSON, YAML and code are quotations in what a user or a model writes, and none in a document; a tool's
    result quotes nothing: it is made of strings. ``hits`` are those of the lexicon, where they are known already.
    """
    low = lowered(text)
    if hits is None:
        hits = lexicon().hits(low)
    quotes = quotations(text, surface)
    breaks = [one.start() for one in _SENTENCE.finditer(low)]
    found: list[Cue] = []
    sentence = 0
    places: list[Hit] = []
    if _MAY_BE_A_PLACE.search(low):
        places = [Hit(one.start(), one.end(), "place") for one in _PLACE.finditer(low)]
    for hit in sorted([*hits, *places]) if places else hits:
        while sentence < len(breaks) and breaks[sentence] < hit.start:
            sentence += 1
        quoted = any(start < hit.start < end for start, end in quotes)
        found.append(Cue(hit.start, hit.end, hit.concept, sentence, quoted))
        if hit.concept == "machine" and _is_called(low, hit.start, hit.end):
            found.append(Cue(hit.start, hit.end, "called", sentence, quoted))
    return found


def _is_called(low: str, start: int, end: int) -> bool:
    before, after = low[max(0, start - 24) : start], low[end : end + 48]
    return _CALLED.search(before) is not None and _CALLING.match(after) is not None and not _OWN_WORK.match(after)


def quotations(text: str, surface: Surface) -> list[tuple[int, int]]:
    """Return where a text of that surface quotes."""
    if surface is Surface.TOOL_OUTPUT or not _QUOTES.search(text):
        return []
    found = _QUOTED.finditer(text)
    return [
        (one.start(), one.end()) for one in found if surface is not Surface.DOCUMENT or not _is_value(text, one.start())
    ]


def _is_value(text: str, start: int) -> bool:
    """Say whether a quoted piece is a value of JSON, YAML or code, and no quotation: what stands before it tells."""
    return (text[:start].rstrip(" ")[-1:] or " ") in _BEFORE_VALUES
