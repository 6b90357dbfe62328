"""Images, frames and links that carry data away: found in answers, and defused.

A client that shows markdown or HTML loads an image without asking, so whatever its address says is told to its host. Links need
a click. What is looked for is an address that says more than where something lies: words, or something encoded.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote_plus, urlsplit

from penstock_gateway.domain.guardrails.injection.language import reads_like_language

# What stands in brackets is at most so long, and so is an address.
_LONGEST_TEXT, _LONGEST_URL = 200, 4000
_OPENS_IMAGE = re.compile(r"!\[")
_OPENS_LINK = re.compile(r"(?<!!)\[")
_BEFORE_URL = re.compile(r"\s{0,20}<?")
_ENDS_URL = re.compile(r"[\s)>]")
_BEHIND_URL = re.compile(r">?[^)\n]{0,100}\)")
_REFERENCE = re.compile(r"^ {0,3}\[(?P<text>[^\]\n]{1,100})\]:[ \t]+<?(?P<url>[^\s>]{4,4000})>?", re.MULTILINE)
_TAG = re.compile(
    r"<\s*(?P<tag>iframe|img|object|embed|script|link|video|audio|source|form|a|meta|base|input|svg|image)\b",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"\s{0,20}</\s{0,20}(?:iframe|object|embed|script|video|audio)\s{0,20}>", re.IGNORECASE)
_LONGEST_TAG = 4000
_ADDRESS = re.compile(
    r"(?:src|href|data|srcset|action|poster|xlink:href|content)\s*=\s*[\"']?\s*(?:\d+;\s*url=)?([^\s\"'>]{4,4000})",
    re.IGNORECASE,
)
_STYLE = re.compile(r"url\(\s*[\"']?(?P<url>(?:https?:)?//[^\s)\"']{4,4000})", re.IGNORECASE)
_PLACE = re.compile(r"\{[^{}\s]{2,60}\}|\[[A-Za-z_ ]{3,40}\]|<[a-z_' ]{3,60}>|\b[A-Z]{3,}(?:_[A-Z]{2,})+\b")
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_OPAQUE = re.compile(r"(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[a-z])[A-Za-z0-9_-]{24,}")
_PERSONAL = re.compile(
    r"(?<![\w.+-])[\w.+-]+@[\w-]{1,63}\.[a-z]{2,}|\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b|\b(?:\d[ -]?){13,19}\b|\b\d{3}-\d{2}-\d{4}\b"
    r"|\bsk-[\w-]{8,}|\beyJ[\w-]{10,}|\"\w+\":",
)
_TELLING = re.compile(
    r"\b(?:user|passw\w*|pass|pwd|pin|token|secret|session|sid|cookie|ssn|iban|card|cvv|dob|passport|salary|conv\w*|history|chat|"
    r"prompt|context|ctx|key|api_?key|mail|email|diagnos\w*|account|leak|exfil|dump|memo|private|creds?)\b",
    re.IGNORECASE,
)
# What people search or prefill by a link, in the open.
_HARMLESS_KEYS = frozenset(
    {
        "q",
        "query",
        "search",
        "s",
        "subject",
        "body",
        "text",
        "lang",
        "v",
        "version",
        "page",
        "format",
        "region",
        "utm_source",
    }
)
_LOADED = frozenset(
    {"iframe", "img", "object", "embed", "script", "link", "video", "audio", "source", "image", "svg", "input"}
)


class Way(StrEnum):
    """How an address is fetched."""

    LOADED = "loaded"
    """By whoever shows the answer, at once."""
    CLICKED = "clicked"


class Carrier(NamedTuple):
    """An address in an answer. ``reason`` is empty where it says no more than where something lies."""

    start: int
    end: int
    url: str
    text: str
    way: Way
    tag: str
    reason: str


def carriers(text: str) -> list[Carrier]:
    """Return the images, frames and links of a text, in order."""
    if "](" not in text and "<" not in text and "]:" not in text and "url(" not in text:
        return []
    found = [*_markdown(text), *_html(text)]
    return sorted(found)


def _markdown(text: str) -> Iterator[Carrier]:
    yield from _in_brackets(text)
    for one in _REFERENCE.finditer(text):
        yield Carrier(
            one.start(), one.end(), one["url"], one["text"], Way.CLICKED, "link", _says(one["url"], Way.CLICKED)
        )


def _in_brackets(text: str) -> Iterator[Carrier]:
    """Yield images and links, such as ``[text](address)``, in one way through the text."""
    last = {Way.LOADED: 0, Way.CLICKED: 0}
    ends, at = 0, text.find("](")
    while at >= 0:
        url = _BEFORE_URL.match(text, at + 2)
        start = url.end() if url else at + 2
        if ends < start:
            ends = stop.start() if (stop := _ENDS_URL.search(text, start)) else len(text)
        behind = _BEHIND_URL.match(text, ends) if 4 <= ends - start <= _LONGEST_URL else None
        for opens, way, tag in ((_OPENS_IMAGE, Way.LOADED, "image"), (_OPENS_LINK, Way.CLICKED, "link")):
            if behind and (opened := _opened(text, opens, at, last[way])):
                said = text[start:ends]
                yield Carrier(opened.start(), behind.end(), said, text[opened.end() : at], way, tag, _says(said, way))
                last[way] = behind.end()
        at = text.find("](", at + 2)


def _opened(text: str, opens: re.Pattern[str], at: int, earliest: int) -> re.Match[str] | None:
    """Return the bracket that opens what ``at`` closes: the first one behind the last that was closed, of this line."""
    earliest = max(earliest, at - _LONGEST_TEXT - 1, text.rfind("]", 0, at) + 1 if at else 0)
    return opens.search(text, max(earliest, text.rfind("\n", earliest, at) + 1), at)


def _tags(text: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield the tags that may have an address: name, what follows it, from where to where."""
    place = 0
    while one := _TAG.search(text, place):
        end = text.find(">", one.end())
        if end < 0:
            return
        if end - one.end() > _LONGEST_TAG:
            place = one.end()
            continue
        closed = _CLOSED.match(text, end + 1)
        place = closed.end() if closed else end + 1
        yield one["tag"].lower(), text[one.end() : end], one.start(), place


def _html(text: str) -> Iterator[Carrier]:
    for tag, rest, start, end in _tags(text):
        way = Way.LOADED if tag in _LOADED else Way.CLICKED
        for address in _ADDRESS.finditer(rest):
            if "//" in address[1] or address[1].startswith("data:"):
                yield Carrier(start, end, address[1], "", way, tag, _says(address[1], way, tag))
                break
    for one in _STYLE.finditer(text):
        yield Carrier(one.start(), one.end(), one["url"], "", Way.LOADED, "style", _says(one["url"], Way.LOADED))


def _says(url: str, way: Way, tag: str = "") -> str:
    """Return what an address says beside where something lies; empty for nothing."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
    except ValueError:
        return "an address that cannot be read"
    if parts.scheme not in {"", "http", "https", "ftp"}:
        return ""
    values = [(key, unquote_plus(value)) for key, _, value in (item.partition("=") for item in parts.query.split("&"))]
    if _PLACE.search(f"{parts.path}?{parts.query}"):
        return "a place in the address that is to be filled with data"
    if any(_PERSONAL.search(value) for _, value in values):
        return "personal data or a key in the address"
    for key, value in [*values, *(("", piece) for piece in f"{parts.path}/{parts.fragment}".split("/"))]:
        if reason := _of_value(key, value, way):
            return reason
    if tag in {"iframe", "script", "object", "embed"} and (parts.query or parts.fragment):
        return f"a hidden {tag} with a message in its address"
    if way is Way.LOADED and any(_TELLING.fullmatch(key) for key, value in values if value):
        return "what it loads is told who asked and what"
    return ""


def _of_value(key: str, value: str, way: Way) -> str:
    for one in _ENCODED.finditer(value):
        said = _decoded(one[0])
        if said:
            return "something encoded in the address"
    words = value.split()
    is_open = key.lower() in _HARMLESS_KEYS
    if len(words) >= 3 and (way is Way.LOADED or not is_open) and reads_like_language(value):
        return "sentences in the address"
    if way is Way.CLICKED and len(words) >= 3 and _TELLING.search(value):
        return "sentences in the address"
    if way is Way.LOADED and len(words) >= 2:
        return "words in the address of what is loaded at once"
    if way is Way.LOADED and key and _OPAQUE.fullmatch(value):
        return "something unreadable in the address of what is loaded at once"
    return ""


def _decoded(piece: str) -> str:
    plain = piece.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        said = base64.b64decode(plain + "=" * (-len(plain) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
    return said if said.isprintable() and sum(map(str.isalpha, said)) + said.count(" ") > 0.6 * len(said) else ""


def defused(text: str, allowed_hosts: Collection[str] = (), *, only_telling: bool = True) -> tuple[str, list[Carrier]]:
    """Return an answer in which nothing carries data away, and what was taken out of it.

    What loads at once goes, with its text in its place; a link keeps its words and loses its address. Hosts that are allowed
    (and those below them) keep theirs. ``only_telling`` False takes out every image and link of another host.
    """
    kept: list[str] = []
    taken: list[Carrier] = []
    at = 0
    for carrier in carriers(text):
        if carrier.start < at or _is_allowed(carrier.url, allowed_hosts) or (only_telling and not carrier.reason):
            continue
        kept += [text[at : carrier.start], _in_its_place(carrier)]
        at = carrier.end
        taken.append(carrier)
    kept.append(text[at:])
    return "".join(kept), taken


def _in_its_place(carrier: Carrier) -> str:
    what = "image" if carrier.way is Way.LOADED else "link"
    if carrier.text.strip():
        return f"{carrier.text.strip()} [{what} removed]"
    return f"[{what} removed]"


def _is_allowed(url: str, allowed_hosts: Collection[str]) -> bool:
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host = (parts.hostname or "").lower()
    except ValueError:
        return False
    if parts.scheme not in {"", "http", "https"}:
        return False
    return any(host == allowed.lower() or host.endswith("." + allowed.lower()) for allowed in allowed_hosts)
