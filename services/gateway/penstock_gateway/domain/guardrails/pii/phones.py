"""Telephone numbers: by form where it says enough, else by the nearest word that says what a number is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from penstock_gateway.domain.guardrails.pii import cues
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.numbers import last_of
from penstock_gateway.domain.guardrails.pii.scanned import Scanned

# What parts a number's groups. A full stop or a comma with a space ends it.
_GAP = re.compile(r" ?[-/.·] ?(?<!\. )(?<!, )| ?\(| ?\)[ \-/.]?|  ?|\)[ -]?\(|-\(")
_DATE = re.compile(
    r"(?:0?[1-9]|[12]\d|3[01])[./ -]{1,2}(?:0?[1-9]|1[0-2])[./ -]{1,2}(?:19|20)\d\d(?!\d)|(?:19|20)\d\d[./-](?:0[1-9]|1[0-2])[./-](?:0[1-9]|[12]\d|3[01])(?!\d)|"
    r"(?:19|20)\d\d ?[-/] ?(?:19|20)\d\d(?!\d)"
)
_NANP = re.compile(r"(?:\(?[2-9]\d\d\)?[ .-]{1,2}|\([2-9]\d\d\))[2-9]\d\d[ .-]\d{4}(?!\d)")
_LOCAL_US = re.compile(r"[2-9]\d\d[ .-]\d{4}(?!\d)")
# Contiguous digits that are mobile numbers somewhere, by their first ones: GB, DE, FR, JP, IT, ES, CN, AU, ZA, CH, NL, SE.
_MOBILE = re.compile(r"0(?:7[0-9]\d{8}|1[567]\d{8,9}|[67]\d{8}|[789]0\d{8}|4\d{8})$|1[3-9]\d{9}$")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_MOBILE_IN_GROUPS = re.compile(r"1[3-9]\d[ -]\d{4}[ -]\d{4}")
# Twelve digits in equal groups are a meter's, or a lottery's.
_READING = re.compile(r"\d{4}[ .-]\d{4}[ .-]\d{4}|(?:\d\d[ .-]){5}\d\d|(?:\d{3}[ .-]){2,3}\d{3}")
_FREE = re.compile(r"1[-. ]8(?:00|88|77|66|55|44|33)[-. ](?:[0-9A-Z]-?){7}(?![0-9A-Z])")
_AMOUNT_BEHIND = re.compile(r"\s?(?:%|€|\$|£|eur\b|usd\b|chf\b|kb\b|mb\b|kg\b|km\b|mm\b|ms\b|zł|руб|円|元|°)|[.,]\d")
_NOT_BEFORE = re.compile(r"(?:[A-Za-z0-9À-ɏ]|[_#$€£§@~^*×]|[A-Za-zÀ-ɏ]-|\d[.,:/])$")
_REACH = 44
_MIN_DIGITS, _MAX_DIGITS = 7, 15
# More groups side by side are a table; what is a telephone number in it has a plus.
_MAX_GROUPS = 40


class _Candidate(NamedTuple):
    """Groups of digits as one number; ``lead`` is ``+`` or what else stands before and belongs to it."""

    start: int
    end: int
    digits: str
    lead: str

    @property
    def is_grouped(self) -> bool:
        return self.end - self.start > len(self.digits) + len(self.lead)


def phones(scanned: Scanned) -> Iterator[Finding]:
    """Yield the telephone numbers."""
    groups = scanned.runs
    for begin, end in scanned.clusters:
        first = begin
        while first <= end:
            last = _last_of_cluster(scanned.text, groups, first, end)
            taken = _from_cluster(scanned, groups, first, last)
            if taken is not None:
                yield taken[0]
            first = (taken[1] if taken else last) + 1


def _last_of_cluster(text: str, groups: list[tuple[int, int]], first: int, end: int) -> int:
    last = first
    while last < end and _GAP.fullmatch(text, groups[last][1], groups[last + 1][0]):
        last += 1
    return last


def _from_cluster(scanned: Scanned, groups: list[tuple[int, int]], first: int, last: int) -> tuple[Finding, int] | None:
    """Return the first number of a cluster of groups with its last group: the longest that is one."""
    is_a_table = last - first > _MAX_GROUPS
    for begin in range(first, last + 1):
        if is_a_table and scanned.text[groups[begin][0] - 1 : groups[begin][0]] != "+":
            continue
        for end in range(min(last, begin + _MAX_DIGITS), begin - 1, -1):
            candidate = _candidate(scanned.text, groups[begin : end + 1])
            if candidate is None:
                continue
            if score := _score(scanned, candidate):
                return Finding(Kind.PHONE, candidate.start, candidate.end, score), end
    return None


def _candidate(text: str, groups: list[tuple[int, int]]) -> _Candidate | None:
    start, end = groups[0][0], groups[-1][1]
    digits = "".join(text[slice(*group)] for group in groups)
    if not _MIN_DIGITS <= len(digits) <= _MAX_DIGITS + 2:
        return None
    lead = ""
    if text[max(0, start - 2) : start] == "+(" or text[max(0, start - 2) : start] == "(+":
        lead = text[start - 2 : start]
    elif start and text[start - 1] in "+(":
        lead = text[start - 1]
    return _Candidate(start - len(lead), end, digits, lead)


def _score(scanned: Scanned, one: _Candidate) -> float:
    """Return how sure it is; 0: it is none."""
    text = scanned.text
    if _NOT_BEFORE.search(text, max(0, one.start - 2), one.start) or _runs_on(text, one.end):
        return 0.0
    if _DATE.match(text, one.start) or (one.is_grouped and _DATE.search(text, one.start, one.end)):
        return 0.0
    before = scanned.before(one.start, _REACH)
    cue, other = last_of(cues.PHONE, before), last_of(cues.OTHER_NUMBER, before)
    if "+" in one.lead:
        return 0.98 if one.digits[0] != "0" and len(one.digits) <= _MAX_DIGITS else 0.0
    if other > cue or (other >= 0 and other == cue):
        return 0.0
    called = cue >= 0 or _called_behind(scanned, one.end)
    return _score_by_form(text, one, called=called)


def _runs_on(text: str, end: int) -> bool:
    behind = text[end : end + 2]
    if not behind:
        return False
    if behind[0].isascii() and (behind[0].isalnum() or behind[0] in "_@=%$€£°"):
        return True
    return len(behind) > 1 and behind[0] in ".,:/-" and behind[1].isdigit()


_CALLED_BEHIND = re.compile(
    r"\s?[(,]?\s?(?:mobil|mobile|cell|home|work|office|fax|tel|privat|whatsapp|portable|móvil|after \d|evenings?|abends|le soir|dienstlich|and ask for|ask for)\b"
)


def _called_behind(scanned: Scanned, end: int) -> bool:
    return bool(_CALLED_BEHIND.match(scanned.behind(end, 16)))


def _score_by_form(text: str, one: _Candidate, *, called: bool) -> float:
    digits, length = one.digits, len(one.digits)
    if digits.startswith("00"):
        is_foreign = digits[2:3] not in {"0", ""} and length >= 11 and (one.is_grouped or called)
        return 0.9 if is_foreign else 0.0
    if length > 13:
        return 0.0
    if _NANP.fullmatch(text, one.start, one.end):
        return 0.9 if called or "(" in one.lead or "-" in text[one.start : one.end] else 0.6
    if _FREE.match(text, one.start):
        return 0.9
    if _MOBILE_IN_GROUPS.fullmatch(text, one.start, one.end) and _CHINESE.search(
        text, max(0, one.start - 20), one.end + 20
    ):
        return 0.8
    if (
        digits[0] == "0"
        and 9 <= length <= 12
        and one.is_grouped
        and (called or bool(_MOBILE.match(digits)) or not _READING.fullmatch(text, one.start, one.end))
    ):
        return 0.85 if not _AMOUNT_BEHIND.match(text, one.end) else 0.0
    if not one.is_grouped and _MOBILE.match(digits):
        return _score_of_mobile(text, one, called=called)
    if called and not _AMOUNT_BEHIND.match(text, one.end):
        return 0.75 if length >= 8 or _LOCAL_US.match(text, one.start) or not one.is_grouped else 0.7
    return 0.0


def _score_of_mobile(text: str, one: _Candidate, *, called: bool) -> float:
    if called or (one.digits[0] == "0" and len(one.digits) > 10):
        return 0.85
    near = text[max(0, one.start - 20) : one.end + 20]
    return 0.7 if one.digits[0] == "0" or _CHINESE.search(near) else 0.0
