"""Card numbers, IBANs and social security numbers: what has a check digit or a form that says so."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock_gateway.domain.guardrails.pii import cues
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.scanned import Scanned

# Lengths of IBANs by country, from SWIFT's registry (release 99).
_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ DZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
_IBAN = re.compile(r"[A-Z]{2}[ -]?[0-9][ -]?[0-9](?:[ -]{0,2}[A-Z0-9]){11,30}", re.IGNORECASE)
_IBAN_HEAD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[ -]?$")
_CARD_GAPS = re.compile(r"[ \-_]{1,2}|\.")
# An hour, an amount or a version is no part of a card.
_MAX_GROUPS = 20
_SHORTEST_CARD = 13
_IINS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})$|5[1-5]\d{14}$|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}$|3[47]\d{13}$|"
    r"3(?:0[0-5]|09|6\d|[89]\d)\d{11,16}$|35(?:2[89]|[3-8]\d)\d{12,15}$|6(?:011|4[4-9]\d|5\d\d)\d{12,15}$|62\d{14,17}$|"
    r"(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}$|220[0-4]\d{12,15}$|9792\d{12}$|(?:60|81|82|508)\d{13,14}$"
)
# Numbers that payment services give for tests. All others of one or two different digits only fill a form in.
OF_TESTS = frozenset(
    "4111111111111111 4242424242424242 4222222222222 4444444444444448 5555555555554444 5454545454545454".split()
)
_NO_CARD = re.compile(
    r"(?:imei\w*|isbn|issn|ean|gtin|upc|serial|s/n|iccid|tracking|timestamp|epoch|sscc|seriennummer|sendungs\w*|luhn|t[0-9])\W{0,4}$"
)
_SSN = re.compile(r"([0-9]{3})([- .]?)([0-9]{2})\2([0-9]{4})(?![0-9]|[-./][0-9]|[A-Za-z_])")
_DASHED = re.compile(r"(?<![\w\-./#])[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}(?![\w-])")
_SSN_CUE_REACH = 48
_NOT_BEFORE = re.compile(r"[A-Za-z0-9_\-./#$€£]$")
_LATIN = re.compile(r"[A-Za-z0-9_À-ɏ]$")
# What number it is, where a word says so right before it.
_TOLD = re.compile(r"(?:\s?(?:no|nr|num|number|numéro|code|#|:|n°|n\.º|º|id|is|ist))*[\s.:#]*$")


def luhn(digits: str) -> bool:
    """Return whether the last digit fits the others (ISO/IEC 7812-1, annex B)."""
    doubled = "0246813579"
    total = sum(int(doubled[int(digit)] if place % 2 else digit) for place, digit in enumerate(reversed(digits)))
    return total % 10 == 0


def mod_97(iban: str) -> bool:
    """Return whether an IBAN without spaces fits its check digits (ISO 13616)."""
    # Letters of other alphabets are taken for ASCII's where case is of no matter.
    return iban.isascii() and int("".join(str(int(each, 36)) for each in iban[4:] + iban[:4])) % 97 == 1


def ibans(scanned: Scanned) -> Iterator[Finding]:
    """Yield the IBANs of known countries whose length and check digits fit."""
    for start, _ in scanned.runs:
        if not start or not scanned.text[start - 1].isalpha():
            continue
        if head := _IBAN_HEAD.search(scanned.text, max(0, start - 3), start):
            length = _LENGTHS.get(scanned.text[head.start() : head.start() + 2].upper())
            match = _IBAN.match(scanned.text, head.start()) if length else None
            if match and length and (found := _fitting(scanned.text, match, length)):
                yield Finding(Kind.IBAN, match.start(), found, 1.0)


def _fitting(text: str, match: re.Match[str], length: int) -> int | None:
    """Return where an IBAN of that length ends, if it fits."""
    compact, place = "", match.start()
    while len(compact) < length and place < match.end():
        compact += text[place] if text[place] not in " -" else ""
        place += 1
    behind = text[place : place + 1]
    if len(compact) < length or (behind.isalnum() and text[place - 1 : place + 1].isalnum() and " " not in match[0]):
        return None
    return place if mod_97(compact.upper()) else None


def cards(scanned: Scanned) -> Iterator[Finding]:
    """Yield the card numbers: digits of an issuer's range that pass Luhn's check, whatever parts them."""
    groups = scanned.runs
    for first, last in scanned.clusters:
        if sum([end - start for start, end in groups[first : last + 1]]) >= _SHORTEST_CARD:
            yield from _cards_among(scanned, groups, first, last)


def _cards_among(scanned: Scanned, groups: list[tuple[int, int]], first: int, last: int) -> Iterator[Finding]:
    ends = _ends_of_chains(scanned.text, groups, first, last)
    while first <= last:
        found = _card_from(scanned, groups, first, ends[first])
        if found is not None:
            yield Finding(Kind.CREDIT_CARD, groups[first][0], groups[found][1], 1.0)
        first = found + 1 if found is not None else first + 1


def _ends_of_chains(text: str, groups: list[tuple[int, int]], first: int, last: int) -> dict[int, int]:
    """Return of each group the last one of those that what stands between them may join with it."""
    ends = {last: last}
    for place in range(last - 1, first - 1, -1):
        ends[place] = ends[place + 1] if _joins(text, groups[place], groups[place + 1]) else place
    return ends


def _card_from(scanned: Scanned, groups: list[tuple[int, int]], first: int, chain: int) -> int | None:
    """Return the last of the groups, up to that of the chain, that make a card number with the first one."""
    text, start = scanned.text, groups[first][0]
    digits, best = 0, None
    for last in range(first, min(chain + 1, first + _MAX_GROUPS)):
        digits += groups[last][1] - groups[last][0]
        if digits > 19:
            break
        if digits >= _SHORTEST_CARD:
            written = "".join([text[slice(*group)] for group in groups[first : last + 1]])
            if _is_card(scanned, written, start, groups[last][1]):
                best = last
    if best is not None and _LATIN.search(text, max(0, start - 1), start):
        return None
    return best


def _joins(text: str, before: tuple[int, int], behind: tuple[int, int]) -> bool:
    """Return whether what stands between two groups may part a card number; a decimal point may not."""
    if text[before[1] : behind[0]] == ".":
        return before[1] - before[0] >= 3 and behind[1] - behind[0] >= 3
    return bool(_CARD_GAPS.fullmatch(text, before[1], behind[0]))


def _is_card(scanned: Scanned, digits: str, start: int, end: int) -> bool:
    behind = scanned.text[end : end + 1]
    if (behind.isalnum() and behind.isascii()) or behind == "_" or not luhn(digits):
        return False
    if len(set(digits)) < 3 and digits not in OF_TESTS:
        return False
    before = scanned.before(start, 40)
    if _NO_CARD.search(before):
        return False
    if len(digits) in {13, 14, 17, 18, 19} or not _IINS.match(digits):
        return bool(_IINS.match(digits) or len(digits) >= 15) and bool(cues.CARD.search(before))
    return True


def social_security_numbers(scanned: Scanned) -> Iterator[Finding]:
    """Yield the numbers of the US Social Security Administration: three, two and four digits, where no other cue is nearer."""
    known: bool | None = None
    for start, end in scanned.runs:
        if end - start not in {3, 9}:
            continue
        match = _SSN.match(scanned.text, start)
        if not match or not _issued(match) or _NOT_BEFORE.search(scanned.text, max(0, start - 1), start):
            continue
        if known is None:
            known = bool(cues.SSN.search(scanned.lower) or _DASHED.search(scanned.text))
        if _is_ssn(scanned, match, known=known):
            yield Finding(Kind.SSN_US, match.start(), match.end(), 0.95 if known else 0.7)


def _issued(match: re.Match[str]) -> bool:
    area, _, group, serial = match.groups()
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def _is_ssn(scanned: Scanned, match: re.Match[str], *, known: bool) -> bool:
    before = scanned.before(match.start(), _SSN_CUE_REACH)
    cue = last_of(cues.SSN, before)
    others = max(last_of(each, before) for each in (cues.OTHER_NUMBER, cues.PHONE, cues.PASSPORT))
    if others > cue and _TOLD.match(before, others):
        return False
    return known or match[2] == "-"


def last_of(pattern: re.Pattern[str], text: str) -> int:
    """Return where the last match ends; -1 where there is none."""
    end = -1
    for match in pattern.finditer(text):
        end = match.end()
    return end
