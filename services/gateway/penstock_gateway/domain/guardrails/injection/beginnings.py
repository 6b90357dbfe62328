"""Where in a text that goes on a link, an image, a tag or an address has begun that may not be over."""

from __future__ import annotations

import re

from penstock_gateway.domain.guardrails.injection.addresses import LONGEST_URL
from penstock_gateway.domain.guardrails.injection.exfiltration import (
    CLOSED,
    LEAST_URL,
    LONGEST_TAG,
    LONGEST_TEXT,
    TAGS,
    TITLE,
    url_at,
)

# The longest address that is looked for, and what stands around it.
MOST = LONGEST_URL + 400
_BEGINS = re.compile(r"[!\[\]<\"'`@hw]|url\(|u(?:r(?:l)?)?\Z", re.IGNORECASE)
_OPEN = re.compile(
    r"[\"'`<]?(?:(?:https?://|www\.)[^\s<>]{0,4000}\Z|h?\Z|htt?p?\Z|https?(?::/{0,2})?\Z|w{1,3}\Z)|!\Z"
    r"|(?:url\(|@import)[^/;\n]{0,20}(?:/{1,2}[^\s)\"';]{0,4000})?\Z|u(?:r(?:l)?)?\Z|@(?:i|im|imp|impo|impor)?\Z",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"[\"'`<]?(?:https?://|www\.)[^\s<>]{4,4000}>?|(?:url\(|@import)[^/;\n]{0,20}//[^\s)\"';]{4,4000}", re.IGNORECASE
)
_REFERENCE = re.compile(r":[ \t]*\n?[ \t]*(?:<[^<>\n]{0,4000}>?|\S{0,4000})\Z")
_TITLE_BEGUN = re.compile(
    r"[ \t\n]{0,20}(?:\"[^\"]{0,1000}\"?|'[^']{0,1000}'?|\([^()]{0,1000}\)?|[^)\n]{0,100})[ \t\n]{0,20}\Z"
)
_OF_TEXT = re.compile(r"\\.|\n[ \t]*\n|[\[\]]|[^\[\]\\]", re.DOTALL)
_IN_BRACKETS = re.compile(r"\([^()\s]{0,4000}(?:(?P<end>\))|\Z)")
_TAG = re.compile(r"<\s{0,20}(?P<tag>[a-zA-Z]*)")
# As what a tag holds, but that a quote may be closed later.
_REST = re.compile(r"(?:[^>\"']|\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z))*(?:(?P<end>>)|\Z)")
_CLOSING = re.compile(r"\s{0,20}(?:<(?:\s{0,20}/[a-zA-Z\s]{0,60})?)?\Z")
_CLOSED_TAGS = frozenset({"iframe", "object", "embed", "script", "video", "audio"})

_MOST_DEPTH, _OPENED = 2, -1


def begun(text: str) -> int:
    """Return up to where nothing has begun that may go on; what is longer than any address has no end."""
    at = max(0, len(text) - MOST)
    while one := _BEGINS.search(text, at):
        at = _end_of(text, one.start())
        if at < 0:
            return one.start()
    return len(text)


def _end_of(text: str, at: int) -> int:
    """Return where what begins here ends, within which nothing begins; negative where it may go on."""
    first = text[at]
    if first == "[" or text.startswith("![", at):
        return _OPENED if _is_open_text(text, at + (first == "!")) else at + 1 + (first == "!")
    if first == "]":
        return _OPENED if _is_open_behind(text, at + 1) else _behind(text, at + 1)
    if first == "<" and (tag := _tag_at(text, at)):
        return tag
    if _OPEN.match(text, at):
        return _OPENED
    address = _ADDRESS.match(text, at)
    return address.end() if address else at + 1


def _behind(text: str, at: int) -> int:
    """Return where an address ends that stands behind brackets."""
    if not text.startswith("(", at):
        return at
    url, end = url_at(text, at + 1)
    if len(url) < LEAST_URL:
        return at
    title = TITLE.match(text, end)
    return title.end() if title else end


def _is_open_text(text: str, at: int) -> bool:
    """Return whether a text in brackets that begins here may go on to be that of a link, in which an image may stand."""
    at, counts = at + 1, [0]
    while at < len(text):
        one = _OF_TEXT.match(text, at)
        if one is None:
            return True
        at = one.end()
        if one[0] == "]":
            counts.pop()
            if not counts:
                return _is_open_behind(text, at)
            if address := _IN_BRACKETS.match(text, at):
                at = address.end()
        elif one[0][0] == "\n" and len(one[0]) > 1:
            return False
        else:
            counts[-1] += 1
            if one[0] == "[":
                counts.append(0)
            if len(counts) > _MOST_DEPTH or counts[-1] > LONGEST_TEXT:
                return False
    return True


def _is_open_behind(text: str, at: int) -> bool:
    """Return whether what closes brackets may go on with an address."""
    if at == len(text) or _REFERENCE.match(text, at):
        return True
    if text[at] != "(":
        return False
    _, end = url_at(text, at + 1)
    if end - at > LONGEST_URL:
        return False
    return end == len(text) or (TITLE.match(text, end) is None and _TITLE_BEGUN.match(text, end) is not None)


def _tag_at(text: str, at: int) -> int:
    """Return where a tag ends that may have an address, negative where it may go on; 0 where there is none."""
    one = _TAG.match(text, at)
    if one is None:
        return 0
    name = one["tag"].lower()
    if one.end() == len(text):
        return _OPENED if any(tag.startswith(name) for tag in TAGS) else 0
    if name not in TAGS:
        return 0
    rest = _REST.match(text, one.end(), one.end() + LONGEST_TAG)
    end = len(text) if rest is None else rest.end()
    if rest is None or not rest["end"]:
        return _OPENED if end == len(text) else 0
    if name not in _CLOSED_TAGS:
        return end
    if closed := CLOSED.match(text, end):
        return closed.end()
    return _OPENED if _CLOSING.match(text, end) else end
