"""Characters made plain: what is invisible goes, and look-alikes become the letters that they look like.

Unicode's own compatibility folding (NFKC, UAX #15) undoes full-width, circled and mathematical letters. It leaves Cyrillic
and Greek letters that look Latin, so those of UTS #39's confusables that matter are here; they are folded only in words
that mix scripts, since Russian is no disguise. Tags (U+E0000 to U+E007F) spell ASCII that no font shows.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

# Zero-width space, joiners, word joiner, BOM, soft hyphen, direction marks and the like.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)
_TAGS = re.compile("[\U000e0001-\U000e007f]{4,}")
_TAG_BASE = 0xE0000
# U+200C and U+200D join and part letters in these scripts (and parts of emoji), where they belong.
_JOINERS = "\u200c\u200d"
_JOINED = re.compile("[\u0600-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17ff\ufb50-\ufdff\ufe70-\ufefe]")
_PICTURE = re.compile("[\u2190-\u2bff\u3030\u303d\U0001f000-\U0001faff]")
LOOKS_LATIN = str.maketrans(
    "авекмнорстухіјѕԁԛԝһҽӏгьАВЕКМНОРСТУХІЈЅԌԚԜҺαβεικνορτυχγωηΑΒΕΖΗΙΚΜΝΟΡΤΥΧɡɩɑıƖꓲꓮꓐᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ",
    "abekmhopctyxijsdqwhelrbABEKMHOPCTYXIJSGQWHabeikvoptuxywnABEZHIKMNOPTYXgiaiIIABabcdefghijklmnopqrstuvwyz",
)
_WORD = re.compile(r"\w+")
_LATIN = re.compile("[A-Za-z]")
_FOREIGN = re.compile("[\u0370-\u03ff\u0400-\u052f\u0250-\u02af\u1d00-\u1d7f\ua720-\ua7ff\ua4d0-\ua4ff\u0131\u0196]")
_FEW_RUSSIAN = re.compile("[бгджзийлпфцчшщъыэюяБГДЖЗИЙЛПФЦЧШЩЪЫЭЮЯ]")


class Folded(NamedTuple):
    """A text as it is read. ``offsets[i]`` is where its character i came from; None: from i itself.

    ``hidden`` are the pieces of invisible text: (start, end, what they spell). ``invisible`` counts what was taken out of
    the middle of words.
    """

    text: str
    offsets: list[int] | None = None
    hidden: tuple[tuple[int, int, str], ...] = ()
    invisible: int = 0
    disguised: int = 0
    """Letters that are not what they look like."""

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Return where a piece of the text stands in the text as it was given."""
        if self.offsets is None or end <= start:
            return start, end
        return self.offsets[start], self.offsets[end - 1] + 1


def folded(text: str) -> Folded:
    """Return the text made plain. Plain ASCII costs a look."""
    if text.isascii():
        return Folded(text)
    hidden = tuple((one.start(), one.end(), _spelled(one[0])) for one in _TAGS.finditer(text))
    shown, offsets, invisible = _visible(text, {start: (end, said) for start, end, said in hidden})
    plain, offsets, disguised = compatible(shown, offsets)
    plain, looks = _latin(plain)
    return Folded(plain, offsets, hidden, invisible, disguised + looks)


def _spelled(tags: str) -> str:
    return "".join(chr(ord(tag) - _TAG_BASE) for tag in tags if 0x20 <= ord(tag) - _TAG_BASE < 0x7F)


def _visible(text: str, hidden: dict[int, tuple[int, str]]) -> tuple[str, list[int], int]:
    """Return the text without what is not seen, and with what tags spell in the place of the tags."""
    kept: list[str] = []
    offsets: list[int] = []
    taken = at = 0
    for one in INVISIBLE.finditer(text):
        if one.start() < at:
            continue
        kept.append(text[at : one.start()])
        offsets.extend(range(at, one.start()))
        at = one.end()
        if one.start() in hidden:
            at, said = hidden[one.start()]
            kept.append(f" {said} ")
            offsets.extend([one.start()] * (len(said) + 2))
        elif not _belongs(text, one.start()):
            inside = one.start() > 0 and text[one.start() - 1].isalnum() and text[at : at + 1].isalnum()
            taken += inside
        elif one[0] == "\u200c":
            # It stays what it is in Persian: a border within a word.
            kept.append(one[0])
            offsets.append(one.start())
    kept.append(text[at:])
    offsets.extend(range(at, len(text)))
    return "".join(kept), offsets, taken


def _belongs(text: str, at: int) -> bool:
    if text[at] not in _JOINERS:
        return False
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    return bool(_JOINED.match(before) or _PICTURE.match(before) or _PICTURE.match(after))


def compatible(text: str, offsets: list[int]) -> tuple[str, list[int], int]:
    """Return the text in NFKC, letter by letter, so that offsets hold; and how many letters changed their look."""
    if unicodedata.is_normalized("NFKC", text):
        return text, offsets, 0
    table = {character: _plain(character) for character in set(text) if character >= "\u0100"}
    table = {character: plain for character, plain in table.items() if plain != character}
    letters = {character for character, plain in table.items() if plain.isascii() and plain.isalpha()}
    changed = sum(character in letters for character in text) if letters else 0
    if any(len(plain) != 1 for plain in table.values()):
        offsets = [at for at, character in zip(offsets, text, strict=True) for _ in table.get(character, character)]
    return text.translate(str.maketrans(table)), offsets, changed


def _plain(character: str) -> str:
    if character < "\u0100":
        return character
    squared = ord(character) - 0x1F130
    if 0 <= squared < 26 or 0x20 <= squared < 0x3A or 0x40 <= squared < 0x5A:
        return chr(ord("A") + squared % 32)
    return unicodedata.normalize("NFKC", character)


def _latin(text: str) -> tuple[str, int]:
    """Return the text with look-alikes in Latin letters, where a word mixes scripts or the text is Latin around it."""
    if not _FOREIGN.search(text):
        return text, 0
    is_latin = len(_LATIN.findall(text)) > 2 * len(_FEW_RUSSIAN.findall(text))
    count = 0

    def plain(word: re.Match[str]) -> str:
        nonlocal count
        said = word[0]
        if not _FOREIGN.search(said):
            return said
        turned = said.translate(LOOKS_LATIN)
        if turned.isascii() and (is_latin or _LATIN.search(said)) and len(turned) == len(said):
            count += sum(old != new for old, new in zip(said, turned, strict=True))
            return turned
        return said

    return _WORD.sub(plain, text), count
