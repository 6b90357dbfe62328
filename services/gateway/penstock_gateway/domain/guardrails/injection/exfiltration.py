"""Images, frames and links that carry data away: found in answers, and defused.

A client that shows markdown or HTML loads an image without asking, so whatever its address says is told to its host. Links need
a click, or are looked up for a preview. What is looked for is an address that says more than where something lies
(``addresses``). Where a bracket of a link cannot be seen, it is taken for an image.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from penstock_gateway.domain.guardrails.injection.addresses import BARE, LONGEST_URL, Way, as_fetched, is_allowed, says

# Characters between the brackets of a link; a line of its text may end, and there may be an image in it.
LONGEST_TEXT = 200
_INSIDE = r"(?:[^\[\]\n\\]|\\.|\n(?![ \t]*\n))"
_OPENS = re.compile(
    rf"(?P<image>!?)\[(?P<text>(?:{_INSIDE}|!?\[{_INSIDE}{{0,{LONGEST_TEXT}}}\](?:\([^()\s]{{0,{LONGEST_URL}}}\))?){{0,{LONGEST_TEXT}}})\]\("
)
_OPENS_PLAIN = re.compile(rf"(?P<image>!?)\[(?P<text>[^\[\]\n\\]{{0,{LONGEST_TEXT}}})\]\(")
_BRACKET = re.compile(r"\[")
# What an address in brackets is made of; its parentheses are paired.
INSIDE_URL = re.compile(rf"[ \t\n]{{0,20}}<(?P<url>[^<>\n]{{4,{LONGEST_URL}}})>?")
_BEFORE_URL = re.compile(r"[ \t\n]{0,20}")
_OF_URL = re.compile(r"[^\s()\\]+|\\\S|[()]")
LEAST_URL = 4
TITLE = re.compile(r"[ \t\n]{0,20}(?:\"[^\"]{0,1000}\"|'[^']{0,1000}'|\([^()]{0,1000}\)|[^)\n]{0,100})[ \t\n]{0,20}\)")
_REFERENCE = re.compile(
    rf"\[(?P<text>[^\]\n]{{1,100}})\]:[ \t]*\n?[ \t]*(?:<(?P<inside>[^<>\n]{{4,{LONGEST_URL}}})>|(?P<url>[^\s<]\S{{3,{LONGEST_URL}}}))",
    re.MULTILINE,
)
# An address that stands for itself, in angle brackets or not: many clients make a link of it, and some look it up.
_BARE = re.compile(rf"(?P<before>[\"'`<]?)(?P<url>(?:https?://|www\.)[^\s<>]{{4,{LONGEST_URL}}})>?", re.IGNORECASE)
# By these it is found: an expression alone would try every letter.
_MARKS = (("://", ("https", "http")), ("www.", ("",)), ("WWW.", ("",)))
_OPENERS = "\"'`<"
_QUOTES = ('"', "'", "`")
_ENDS_BARE = re.compile(r"[)\].,;:!?\"'*_~`]+\Z")
TAGS = (
    "iframe", "img", "object", "embed", "script", "link", "video", "audio", "source", "track", "form", "a", "area", "meta", "base",
    "input", "button", "svg", "image", "use", "body", "table", "td", "th", "frame", "bgsound", "picture",
)  # fmt: skip
_TAG = re.compile(rf"<\s{{0,20}}(?P<tag>{'|'.join(TAGS)})\b", re.IGNORECASE)
CLOSED = re.compile(r"\s{0,20}</\s{0,20}(?:iframe|object|embed|script|video|audio)\s{0,20}>", re.IGNORECASE)
LONGEST_TAG = 4000
# What a tag holds; a quote that is never closed is no quote. A tag that never ends, ends with the text.
_REST = re.compile(r"(?:[^<>\"']|\"[^\"]*\"|'[^']*'|[<\"'])*?(?:>|\Z)")
_ADDRESS = re.compile(
    r"(?P<name>src|href|data|srcset|action|formaction|poster|background|ping|lowsrc|dynsrc|cite|content)\s*=\s*"
    r"(?:\"\s*(?P<double>[^\"]*)\"|'\s*(?P<single>[^']*)'|[\"']?(?P<bare>[^\s\"'>]+))",
    re.IGNORECASE,
)
_BLANK = re.compile(r"[\s,]+")
_REFRESH = re.compile(r"\d+\s*;\s*url\s*=\s*[\"']?", re.IGNORECASE)
_STYLE = re.compile(r"(?:url\(|@import)\s*(?:&quot;|[\"'])?\s*(?P<url>(?:https?:)?//[^\s)\"';]{4,4000})", re.IGNORECASE)
_LOADED = frozenset(
    {
        "iframe",
        "img",
        "object",
        "embed",
        "script",
        "link",
        "video",
        "audio",
        "source",
        "image",
        "svg",
        "input",
        "track",
        "use",
        "body",
        "table",
        "td",
        "th",
        "frame",
        "bgsound",
        "picture",
    }
)


class Carrier(NamedTuple):
    """An address in an answer. ``reason`` is empty where it says no more than where something lies."""

    start: int
    end: int
    url: str
    text: str
    way: Way
    tag: str
    reason: str


_NEEDED = ("](", "<", "]:", "url(", "@import")


def carriers(text: str, *, bare: bool = True) -> list[Carrier]:
    """Return the images, frames and links of a text, in order; with ``bare`` addresses that stand for themselves, too."""
    has_bare = bare and ("://" in text or "www." in text or "WWW." in text)
    if not has_bare and not any(one in text for one in _NEEDED):
        return []
    found = [*_in_brackets(text), *_references(text), *_html(text)]
    if has_bare:
        taken = sorted((one.start, one.end) for one in found)
        found += _bare(text, taken)
    return sorted(found)


def _carrier(where: tuple[int, int], url: str, text: str, how: tuple[Way, str]) -> Carrier:
    return Carrier(*where, url, text, *how, says(url, *how))


def _in_brackets(text: str) -> Iterator[Carrier]:
    """Yield images and links, such as ``[text](address)``, by what opens them, or by ``](`` where nothing near does."""
    opened: dict[int, re.Match[str]] = {}
    if "](" in text:
        for one in _BRACKET.finditer(text):
            start = one.start() - (text[one.start() - 1 : one.start()] == "!")
            if match := _OPENS_PLAIN.match(text, start) or _OPENS.match(text, start):
                opened.setdefault(match.end() - 2, match)
    at = text.find("](")
    while at >= 0:
        url, end = url_at(text, at + 2)
        if len(url) < LEAST_URL:
            at = text.find("](", at + 2)
            continue
        opens = opened.get(at)
        start, said = (at, "") if opens is None else (opens.start(), opens["text"])
        title = TITLE.match(text, end)
        how = (Way.CLICKED, "link") if opens is not None and not opens["image"] else (Way.LOADED, "image")
        yield _carrier((start, title.end() if title else end), as_fetched(url, is_markdown=True), said, how)
        # Within an address nothing begins.
        at = text.find("](", end)


def url_at(text: str, at: int) -> tuple[str, int]:
    """Return the address behind ``](``, as it is written, and where it ends."""
    if one := INSIDE_URL.match(text, at):
        return one["url"], one.end()
    before = _BEFORE_URL.match(text, at)
    start = end = at if before is None else before.end()
    depth = 0
    for one in _OF_URL.finditer(text, start, start + LONGEST_URL):
        depth += (one[0] == "(") - (one[0] == ")")
        if one.start() != end or depth < 0:
            break
        end = one.end()
    return text[start:end], end


def _references(text: str) -> Iterator[Carrier]:
    """Yield what references say; an image may be behind them, wherever it stands."""
    for one in _REFERENCE.finditer(text) if "]:" in text else ():
        url = as_fetched(one["inside"] or one["url"], is_markdown=True)
        yield _carrier(one.span(), url, one["text"], (Way.LOADED, "link"))


def _bare(text: str, taken: list[tuple[int, int]]) -> Iterator[Carrier]:
    """Yield addresses that stand for themselves, outside of what was found."""
    at = 0
    for one in _bare_matches(text):
        while at < len(taken) and taken[at][1] <= one.start():
            at += 1
        if at < len(taken) and taken[at][0] < one.end():
            continue
        said = one["url"]
        if one["before"] == "<" and one[0][-1] == ">":
            where = one.span()
        else:
            said = said.partition(one["before"])[0] if one["before"] in _QUOTES else _ENDS_BARE.sub("", said)
            where = (one.start("url"), one.start("url") + len(said))
        url = as_fetched(said)
        yield _carrier(where, url if "://" in url else f"//{url}", "", (Way.CLICKED, BARE))


def _bare_matches(text: str) -> Iterator[re.Match[str]]:
    starts: set[int] = set()
    for mark, schemes in _MARKS:
        at = text.find(mark)
        while at >= 0:
            scheme = next((one for one in schemes if text[max(0, at - len(one)) : at].lower() == one), None)
            if scheme is not None:
                start = at - len(scheme)
                starts.add(start - (start > 0 and text[start - 1] in _OPENERS))
            at = text.find(mark, at + len(mark))
    end = 0
    for start in sorted(starts):
        if start >= end and (one := _BARE.match(text, start)):
            yield one
            end = one.end()


def _tags(text: str) -> Iterator[tuple[str, int, int, str]]:
    """Yield the tags that may have an address: name, where it stands, where what it holds begins, and that."""
    place = 0
    while one := _TAG.search(text, place):
        rest = _REST.match(text, one.end(), one.end() + LONGEST_TAG)
        place = one.end() if rest is None else rest.end()
        yield one["tag"].lower(), one.start(), one.end(), text[one.end() : place]


def _html(text: str) -> Iterator[Carrier]:
    for tag, start, begins, rest in _tags(text) if "<" in text else ():
        way = Way.LOADED if tag in _LOADED else Way.CLICKED
        end = begins + len(rest)
        closed = CLOSED.match(text, end)
        for address in _ADDRESS.finditer(rest):
            # A tag without an end takes no more with it than its address.
            last = begins + address.end() if rest[-1:] != ">" else closed.end() if closed else end
            yield from (_carrier((start, last), said, "", (way, tag)) for said in _addresses(address))
    for one in _STYLE.finditer(text) if "//" in text else ():
        yield _carrier(one.span(), as_fetched(one["url"]), "", (Way.LOADED, "style"))


def _addresses(one: re.Match[str]) -> list[str]:
    said = as_fetched(_REFRESH.sub("", one["double"] or one["single"] or one["bare"] or ""))
    all_of_them = _BLANK.split(said) if one["name"].lower() == "srcset" else [said]
    return [address for address in all_of_them if "//" in address or address.startswith("data:")]


def defused(text: str, allowed_hosts: Collection[str] = (), *, only_telling: bool = True) -> tuple[str, list[Carrier]]:
    """Return an answer in which nothing carries data away, and what was taken out of it.

    What loads at once goes, with its text in its place; a link keeps its words and loses its address. Hosts that are allowed
    (and those below them) keep theirs. ``only_telling`` False takes out every image and link of another host.
    """
    kept: list[str] = []
    taken: list[Carrier] = []
    at = 0
    for carrier in carriers(text):
        if carrier.start < at or is_allowed(carrier.url, allowed_hosts) or (only_telling and not carrier.reason):
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
