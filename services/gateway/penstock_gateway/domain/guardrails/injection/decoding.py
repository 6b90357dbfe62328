"""Texts within a text: what was encoded, shifted, spelled backwards, spaced out or cut in pieces, and reads like language.

A view is the text with one such disguise undone, and where it was. Only what reads like language becomes one: a hash, a key
or a picture in base64 stays what it is.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from penstock_gateway.domain.guardrails.injection.language import common_share, is_known, reads_like_language, segmented

# Looking into more of them than this would be work that an attacker chooses.
MOST_VIEWS = 8
_LONGEST = 20_000
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"\b(?:0x)?(?:[0-9a-fA-F]{2}[\s:,]?){8,}|(?:\\x[0-9a-fA-F]{2}){6,}")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
_BESIDE_PERCENT = re.compile(r"[\w.+-]*")
_FEWEST_PERCENTS = 6
_ESCAPED = re.compile(r"(?:(?:\\u[0-9a-fA-F]{4}|&#x?[0-9a-fA-F]{2,5};)){6,}")
_BINARY = re.compile(r"\b(?:[01]{8}[\s,]?){6,}")
_DECIMAL = re.compile(r"\b(?:\d{2,3}[\s,]+){7,}\d{2,3}\b")
_SEPARATED = re.compile(
    r"(?<![^\W_])[^\W\d_](?:([ \t]{1,2}|[ ]?[.\-_*|/·~+][ ]?)[^\W\d_](?![^\W_])){3,}"
    r"(?:(?:[ \t]{2,4}|[ ]?[.\-_*|/·~+:,;!]?[ ]{1,3})[^\W\d_](?:\1[^\W\d_](?![^\W_])){0,20})*"
)
_LEET_SIGNS = re.compile(r"[A-Za-z0-9@$!|+()]*")
_LEET_END = re.compile(r"[A-Za-z0-9@$!|+]*")
_LEET_PAIR = re.compile(r"[A-Za-z](?=[0-9@$!|+])|[0-9@$!|+](?=[A-Za-z])")
_LEET_NUMBER = re.compile(r"\b\d{5,12}\b")
_DIGIT = re.compile("[0-9]")
_LEET = str.maketrans("013456789@$!|+", "oleasgtbgasiit")
_LEET_OTHER = str.maketrans("1", "i")
_WORD = re.compile(r"[A-Za-z]{2,}")
_LINE = re.compile(r"[^\n]+")
_QUOTED = re.compile(r'"([^"\n]{1,80})"|“([^”\n]{1,80})”|\'([^\'\n]{2,80})\'')
_JOINING = re.compile(
    r"\b(?:join|concat\w*|combine|put together|together|in order|append|assemble|merge|glue|stitch|decode|obey|carry out|"
    r"execute|follow|what .{1,40} says?|do what|read (?:the )?(?:column|first)|zusammen\w*|assembl\w+|concatén\w+|junta\w*)\b"
    r"|\b[a-z]\w{0,8}\s?\+\s?[a-z]\w{0,8}\b|拼|连接|つな|結合|합쳐|соедин",
    re.IGNORECASE,
)
_LETTERED = re.compile(r"\b([A-Z]|[a-z]\d?|\d)\s?[=:]\s?\"?([^,;.\n=\"]{2,40})\"?(?=[,;.\n]|$)")
_ORDER = re.compile(r"\b(?:[A-Z0-9][\s,+-]+){2,12}[A-Z0-9]\b")
_BLANK = re.compile(r"\b([A-Za-z]{2,6})(?:_{2,}|\*{2,}|…|\.{3})")
_FILLED = (
    "system", "systems", "prompt", "prompts", "instructions", "answer", "any", "filter", "filters", "restrictions", "rules",
    "ignore", "previous", "guidelines", "policy", "safety", "password", "reveal", "developer", "message", "without", "secret",
    "bypass", "disregard", "limits", "everything", "unrestricted", "assistant", "override",
)  # fmt: skip
_ATBASH = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA"
)


class View(NamedTuple):
    """The text with a disguise undone: ``text`` as a whole, and the piece of the original that was undone."""

    name: str
    text: str
    start: int
    end: int
    decoded: str
    """What the piece says."""


def views(text: str) -> list[View]:
    """Return what is found beneath the text, at most ``MOST_VIEWS`` of it."""
    found: list[View] = []
    text = text[:_LONGEST]
    for look in _LOOKS:
        for view in look(text):
            found.append(view)
            if len(found) == MOST_VIEWS:
                return found
    return found


def _view(name: str, text: str, start: int, end: int, decoded: str) -> View:
    return View(name, f"{text[:start]} {decoded} {text[end:]}", start, end, decoded)


def _as_text(raw: bytes) -> str | None:
    try:
        said = raw.decode()
    except UnicodeDecodeError:
        return None
    return said if len(said) >= 6 and said.isprintable() | ("\n" in said) and reads_like_language(said) else None


def _base64(text: str) -> Iterator[View]:
    for one in _BASE64.finditer(text):
        piece = one[0].rstrip("=").replace("-", "+").replace("_", "/")
        # A word of 16 letters is base64, too; it decodes to what is no text.
        try:
            said = _as_text(base64.b64decode(piece + "=" * (-len(piece) % 4)))
        except (binascii.Error, ValueError):
            continue
        if said is not None:
            yield _view("base64", text, one.start(), one.end(), said)


def _hex(text: str) -> Iterator[View]:
    for one in _HEX.finditer(text):
        said = _as_text(bytes.fromhex(re.sub(r"0x|\\x|[\s:,]", "", one[0])))
        if said is not None:
            yield _view("hex", text, one.start(), one.end(), said)


def _numbers(text: str) -> Iterator[View]:
    for pattern, radix in ((_BINARY, 2), (_DECIMAL, 10)):
        for one in pattern.finditer(text):
            digits = one[0].replace(",", " ").split()
            values = [int(digit, radix) for digit in digits]
            if len(values) >= 6 and max(values) < 256 and (said := _as_text(bytes(values))) is not None:
                yield _view("numbers", text, one.start(), one.end(), said)


def _escapes(text: str) -> Iterator[View]:
    for start, end in _with_percents(text):
        said = _as_text(unquote_to_bytes(text[start:end].replace("+", " ")))
        if said is not None:
            yield _view("percent", text, start, end, said)
    for one in _ESCAPED.finditer(text):
        said = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), one[0])
        said = re.sub(r"&#x([0-9a-fA-F]+);", lambda code: chr(int(code[1], 16)), said)
        said = re.sub(r"&#(\d+);", lambda code: chr(min(int(code[1]), 0x10FFFF)), said)
        if reads_like_language(said):
            yield _view("escapes", text, one.start(), one.end(), said)


def _with_percents(text: str) -> Iterator[tuple[int, int]]:
    """Yield runs of letters and signs with six bytes as ``%41`` and more, in one way through the text."""
    if text.count("%") < _FEWEST_PERCENTS:
        return
    start, end, count = 0, 0, 0
    for one in _PERCENT.finditer(text):
        if count and end == one.start():
            count += 1
        else:
            if count >= _FEWEST_PERCENTS:
                yield start, end
            start, count = _begin_of_word(text, one.start(), end), 1
        behind = _BESIDE_PERCENT.match(text, one.end())
        end = behind.end() if behind else one.end()
    if count >= _FEWEST_PERCENTS:
        yield start, end


def _begin_of_word(text: str, at: int, earliest: int) -> int:
    while at > earliest and (text[at - 1].isalnum() or text[at - 1] in "_.+-"):
        at -= 1
    return at


def _spaced(text: str) -> Iterator[View]:
    pieces = [one for one in _SEPARATED.finditer(text) if sum(map(str.isalpha, one[0])) >= 8]
    if not pieces:
        return
    kept: list[str] = []
    at = 0
    for one in pieces:
        kept += [text[at : one.start()], _unspaced(one)]
        at = one.end()
    kept.append(text[at:])
    said = "".join(kept)
    yield View("spaced", said, pieces[0].start(), pieces[-1].end(), said)


def _unspaced(one: re.Match[str]) -> str:
    separator = one[1]
    if separator == " ":
        words = re.split(r"\s{2,}", one[0])
        return " ".join(segmented(re.sub(r"[\W_]", "", word)) for word in words)
    words = one[0].split(" ") if separator.strip() and " " not in separator else re.split(r"\s{3,}", one[0])
    return " ".join(segmented(re.sub(r"[\W_]", "", word)) for word in words)


def _leet(text: str) -> Iterator[View]:
    words = _leet_words(text)
    meant = [(start, end, said) for start, end in words if (said := _unleet(text[start:end])) is not None]
    if len(meant) < 2 and not (meant and len(text) < 200):
        return
    kept: list[str] = []
    at = 0
    for start, end, said in meant:
        kept += (text[at:start], said)
        at = end
    yield View("leet", whole := "".join([*kept, text[at:]]), meant[0][0], meant[-1][1], whole)


def _leet_words(text: str) -> Iterator[tuple[int, int]]:
    """Yield where digits stand among letters, or alone as five to twelve; around digits alone, so that prose costs a look."""
    last = 0
    while digit := _DIGIT.search(text, last):
        start = digit.start()
        while start > last and text[start - 1] in _LEET_SIGN:
            start -= 1
        run = _LEET_SIGNS.match(text, start)
        end = last = run.end() if run else start + 1
        pairs = [one.start() for one in _LEET_PAIR.finditer(text, start, end)]
        if pairs:
            behind = _LEET_END.match(text, pairs[-1], end)
            stop = behind.end() if behind else end
            yield start, stop
            start = stop
        yield from (one.span() for one in _LEET_NUMBER.finditer(text, start, end))


_LEET_SIGN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@$!|+()")


def _unleet(word: str) -> str | None:
    low = word.lower()
    if low.isalpha() or not any(map(str.isdigit, low)) or low.rstrip("!+|").isalpha():
        return None
    if low.isdigit() and len(low) < 5:
        return None
    for table in (_LEET, _LEET | _LEET_OTHER):
        said = low.translate(table)
        for guess in (said, said.rstrip("i"), said.replace("i", "l"), said.replace("b", "8")):
            if guess.isalpha() and len(guess) > 1 and is_known(guess):
                return guess
    said = low.translate(_LEET | _LEET_OTHER)
    letters = sum(map(str.isalpha, low))
    return said if said.isalpha() and 3 <= len(said) <= 14 and letters and not low[0].isdigit() else None


def _rotated(text: str) -> Iterator[View]:
    """Yield lines that are language only when letters are turned around: rot13, other shifts, atbash, backwards."""
    words = _WORD.findall(text)
    if len(words) < 3 or sum(map(len, words)) < 0.5 * len(text.strip()):
        return
    for one in _LINE.finditer(text):
        for piece, start, end in _odd_runs(one[0], one.start()):
            best = max(_turned(piece), key=lambda said: common_share(said[1]), default=None)
            if best and common_share(best[1]) >= 0.4:
                yield _view(best[0], text, start, end, best[1])
                break


def _odd_runs(line: str, offset: int) -> Iterator[tuple[str, int, int]]:
    """Yield runs of at least three words of which none is common."""
    run: list[re.Match[str]] = []
    for word in [*_WORD.finditer(line), None]:
        if word is not None and (not is_known(word[0].lower()) or (len(word[0]) < 3 and run)):
            run.append(word)
            continue
        if len(run) >= 3 and sum(len(each[0]) for each in run) >= 12:
            start, end = run[0].start(), run[-1].end()
            yield line[start:end], offset + start, offset + end
        run = []


def _turned(piece: str) -> Iterator[tuple[str, str]]:
    yield "reversed", piece[::-1]
    yield "reversed words", " ".join(word[::-1] for word in piece.split())
    yield "atbash", piece.translate(_ATBASH)
    for shift in range(1, 26):
        yield "rot13" if shift == 13 else f"shift by {shift}", _shifted(piece, shift)


def _shifted(piece: str, shift: int) -> str:
    low, high = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    turned = low[shift:] + low[:shift] + high[shift:] + high[:shift]
    return piece.translate(str.maketrans(low + high, turned))


def _reversed(text: str) -> Iterator[View]:
    """Yield the text backwards where that is language and the text is not."""
    for one in _LINE.finditer(text):
        piece = one[0]
        if len(piece) > 15 and common_share(piece) < 0.2 and common_share(piece[::-1]) >= 0.4:
            yield _view("reversed", text, one.start(), one.end(), piece[::-1])


def _joined(text: str) -> Iterator[View]:
    """Yield quoted pieces in one, where the text says that they are to be joined; and pieces that letters stand for."""
    if not _JOINING.search(text):
        return
    pieces = list(_QUOTED.finditer(text))
    if len(pieces) >= 2:
        said = "".join(next(filter(None, one.groups()), "") for one in pieces)
        spaced = " ".join(next(filter(None, one.groups()), "").strip() for one in pieces)
        for whole in (said, spaced):
            yield _view("joined pieces", text, pieces[0].start(), pieces[-1].end(), whole)
    meanings = {one[1]: one[2].strip(" \"'") for one in _LETTERED.finditer(text)}
    if len(meanings) >= 3:
        for order in _ORDER.finditer(text):
            said = " ".join(meanings.get(letter, "") for letter in re.findall("[A-Za-z0-9]", order[0]))
            if len(said.split()) >= 3:
                yield _view("lettered pieces", text, order.start(), order.end(), said)


def _blanks(text: str) -> Iterator[View]:
    found = list(_BLANK.finditer(text))
    if len(found) < 2:
        return
    said = _BLANK.sub(lambda one: _completed(one[1]) or one[0], text)
    if said != text:
        yield View("filled blanks", said, found[0].start(), found[-1].end(), said)


def _completed(head: str) -> str | None:
    return next((word for word in _FILLED if word.startswith(head.lower())), None)


_LOOKS: tuple[Callable[[str], Iterator[View]], ...] = (
    _base64, _hex, _numbers, _escapes, _spaced, _leet, _reversed, _rotated, _joined, _blanks,
)  # fmt: skip
