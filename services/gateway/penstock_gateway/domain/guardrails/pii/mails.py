"""Addresses of electronic mail, written or spelled out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.scanned import Scanned

# Letters of scripts that part words with spaces: in others a sentence would be taken for a part of an address.
_SIGN = "A-Za-z0-9\u00aa-\u024f\u0370-\u06ff\u0900-\u0dff\u1e00-\u1fff"
_LOCAL = re.compile(rf"[{_SIGN}_.!#$%&'*+/=?^`{{|}}~-]{{1,64}}$")
_DOMAIN = re.compile(
    rf"(?:[{_SIGN}](?:[{_SIGN}_-]{{0,61}}[{_SIGN}])?\.)+(?=[^\W\d_])(?:[A-Za-z]{{2,63}}|[{_SIGN}]{{2,63}})(?![A-Za-z0-9_@])|\[\d{1, 3}(?:\.\d{1, 3}){3}\]"
)
_PLACEHOLDER = re.compile(
    r"(?:your|user|name|someone|you)[-_]?(?:name|mail|email)?@(?:your|domain|company|my)[-_.]?(?:domain|company)?\b",
    re.IGNORECASE,
)
_LOCAL_LENGTH = 64
_OPENS = "!#$%&'*+/=?^`{|}~.-"
AT = "at|ät|\\[at\\]|\\(at\\)|\\{at\\}|arobase|arroba|chiocciola|apenstaartje|małpa|malpa|snabel-?a|klammeraffe|собака|@|アットマーク|艾特|آت|at sign"
_DOT = (
    "dot|punkt|point|punto|ponto|punt|kropka|точка|ドット|点|نقطة|\\[dot\\]|\\(dot\\)|\\{dot\\}|\\[punkt\\]|\\(punkt\\)"
)
MARK = f"{_DOT}|underscore|under score|unterstrich|tiret bas|guion bajo|guión bajo|trattino basso|liggend streepje|dash|hyphen|minus|bindestrich|tiret|guion|guión|trattino|streepje|hífen|traço|bindestreck|podkreślnik|myślnik|plus"
_SPELLED = re.compile(
    rf"(?<![\w@.])(?:[\w+-]+\s+(?:{MARK})\s+){{0,4}}[\w.+-]+\s*(?:\s(?:{AT})\s|\[at\]|\(at\)|\{{at\}})\s*[\w-]+(?:\s*(?:\s(?:{_DOT})\s|\[dot\]|\(dot\)|\{{dot\}}|\[punkt\]|\(punkt\)|\.)\s*[\w-]+)*?"
    rf"\s*(?:\s(?:{_DOT})\s|\[dot\]|\(dot\)|\{{dot\}}|\[punkt\]|\(punkt\))\s*[^\W\d_]{{2,12}}(?:\s(?:{_DOT})\s[^\W\d_]{{2,3}})?(?![\w@])",
    re.IGNORECASE,
)
_HALF_SPELLED = re.compile(
    rf"(?<![\w@.])[\w+-]+(?:[._][\w+-]+)+\s*(?:\s(?:{AT})\s|\[at\]|\(at\)|\{{at\}})\s*(?:[\w-]+\.)+[^\W\d_]{{2,12}}(?![\w@])|(?<![\w@.])[\w.+-]+\s*(?:\[at\]|\(at\)|\{{at\}})\s*(?:[\w-]+\.)+[^\W\d_]{{2,12}}(?![\w@])",
    re.IGNORECASE,
)
# What stands for "@", and behind it a word and what stands for a dot: without them no address is spelled out.
_SIGNS = (
    "at", "at sign", "ät", "arobase", "arroba", "chiocciola", "apenstaartje", "małpa", "malpa", "snabel-a", "snabela", "klammeraffe",
    "собака", "@", "アットマーク", "艾特", "آت",
)  # fmt: skip
_DOTTED = re.compile(
    rf"[\])}}]?\s*[\w-]+\s*(?:\s(?:{_DOT})\s|\[dot\]|\(dot\)|\{{dot\}}|\[punkt\]|\(punkt\)|\.)", re.IGNORECASE
)
_REACH_BEFORE, _REACH_BEHIND = 400, 300
DOT_WORDS = frozenset("dot punkt point punto ponto punt kropka".split())
_FAR_GATES = (" kropka ", " точка ", "ドット", " نقطة ", " ät ")


def mails(scanned: Scanned) -> Iterator[Finding]:
    """Yield the addresses; none without a domain of two parts, no user of a repository's host."""
    text = scanned.text
    at = text.find("@")
    while at >= 0:
        if found := _around(text, at):
            yield Finding(Kind.EMAIL, *found, 1.0)
        at = text.find("@", at + 1)
    if scanned.has(DOT_WORDS, _FAR_GATES):
        for place in _spelled_places(scanned):
            for match in _SPELLED.finditer(text, *place):
                yield Finding(Kind.EMAIL, match.start(), match.end(), 0.85)
            for match in _HALF_SPELLED.finditer(text, *place):
                yield Finding(Kind.EMAIL, match.start(), match.end(), 0.8)


def _spelled_places(scanned: Scanned) -> list[tuple[int, int]]:
    """Return where addresses may be spelled out: the expressions would take long for all of a text."""
    lower, found = scanned.lower, list[int]()
    for sign in _SIGNS:
        if sign.isascii() and sign.isalpha() and sign not in scanned.words:
            continue
        at = lower.find(sign)
        while at >= 0:
            if _DOTTED.match(lower, at + len(sign)):
                found.append(at)
            at = lower.find(sign, at + len(sign))
    places: list[tuple[int, int]] = []
    for at in sorted(found):
        start, end = max(0, at - _REACH_BEFORE), min(len(lower), at + _REACH_BEHIND)
        if places and start <= places[-1][1]:
            places[-1] = (places[-1][0], end)
        else:
            places.append((start, end))
    return places


def _around(text: str, at: int) -> tuple[int, int] | None:
    domain = _DOMAIN.match(text, at + 1)
    local = _LOCAL.search(text, max(0, at - _LOCAL_LENGTH), at)
    if domain is None or local is None:
        return _quoted(text, at, domain)
    start = local.start()
    while start < at and text[start] in _OPENS:
        start += 1
    for mark in ("=", "'", "|", "/"):
        if mark in text[start:at] and (
            mark != "'" or (text[domain.end() : domain.end() + 1] == "'" and text[start - 1 : start] != "'")
        ):
            start = text.rindex(mark, start, at) + 1
    end = domain.end()
    if start == at or (text[start:at] == "git" and text[end : end + 1] in {":", "/"}):
        return None
    return None if _PLACEHOLDER.match(text, start) else (start, end)


def _quoted(text: str, at: int, domain: re.Match[str] | None) -> tuple[int, int] | None:
    """Return where an address is whose local part stands in double quotes."""
    if domain is None or text[at - 1 : at] != '"':
        return None
    start = text.rfind('"', max(0, at - _LOCAL_LENGTH), at - 1)
    return (start, domain.end()) if start >= 0 and "\n" not in text[start:at] else None
