"""Passport numbers, and dates of birth: known by what is said of them alone."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from penstock_gateway.domain.guardrails.pii import cues
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.numbers import last_of
from penstock_gateway.domain.guardrails.pii.scanned import Scanned

_PASSPORT = re.compile(
    r"(?<![A-Za-z0-9_.\-/])(?=[A-Z]*\d[A-Z]*\d)[A-Z0-9]{6,10}(?![A-Za-z0-9_@]|[-./]\d)|(?<![A-Za-z0-9_.\-/])[A-Z]{1,3} ?\d{2,4} ?\d{3,5}(?![A-Za-z0-9_@]|[-./]\d)|(?<![\w.\-/])\d{2} \d{7}(?![\w-])",
    re.IGNORECASE,
)
_MRZ = re.compile(r"(?m)^(?P<number>[A-Z0-9]{7,9})<{0,2}\d[A-Z<]{3}\d{7}[MFX<]\d{7}[A-Z0-9<]{10,16}")
_WITH_ITS_GROUPS = 4
_REACH = 420
# Longer than such a number, and what must not stand behind it.
_AROUND_DIGITS = 20
_NOT_A_PASSPORT = re.compile(
    r"(?<![^\W\d_])(?:flight|vol|flug\w*|vuelo|volo|bus|train|hull|room|seat|gate|booking|pnr|order|ref\w*|visa no|visa number|ticket|tel\w*|phone|mobile|ssn|iban|card|expir\w*|issued|valid\w*|"
    r"gültig\w*|born|geb\w*|dob|date|am|vom|until|bis|aktenzeichen|case|policy|member|employee|rechnung|invoice|dossier|zimmer|chambre|habitación|camera|kamer|reserv\w*|id|nr\. der buchung|cap|plz|zip)\b\W{0,3}(?:no\.?|nr\.?|n\.?º|number|n°|on|am|is)?\W{0,3}$"
)


def passports(scanned: Scanned) -> Iterator[Finding]:
    """Yield the numbers of passports, where the text says that there are some."""
    cue = cues.PASSPORT.search(scanned.lower) if scanned.has(_PASSPORT_WORDS, _FAR_PASSPORT_STEMS) else None
    if "<" in scanned.text and "<<" in scanned.text:
        for match in _MRZ.finditer(scanned.text):
            yield Finding(Kind.PASSPORT, *match.span("number"), 0.98)
    if cue is None:
        return
    for match in _numbers(scanned, cue.end()):
        if sum(each.isdigit() for each in match[0]) < _WITH_ITS_GROUPS or _is_other(scanned, match):
            continue
        nearest = last_of(cues.PASSPORT, scanned.before(match.start(), _REACH))
        if nearest < 0:
            continue
        yield Finding(Kind.PASSPORT, match.start(), match.end(), 0.9 if nearest > _REACH - 60 else 0.75)


def _numbers(scanned: Scanned, place: int) -> Iterator[re.Match[str]]:
    """Yield what looks like the number of a passport behind a place: around digits, as the expression tries every word."""
    start = end = place
    for first, last in scanned.runs:
        if first - _AROUND_DIGITS > end:
            yield from _PASSPORT.finditer(scanned.text, start, end)
            start = first - _AROUND_DIGITS
        end = max(end, last + _AROUND_DIGITS)
    yield from _PASSPORT.finditer(scanned.text, start, end)


_PASSPORT_WORDS = frozenset(
    "passport passports pass passnr passnummer passnummern reisepass reisepasses reisepässe reisepassnummer reisedokument reisedokuments ausweis ausweises ausweisnummer personalausweis passeport passeports pasaporte pasaportes "
    "passaporto passaporte passaportes passaporti paspoort paspoorten paspoortnummer reisdocument paszport paszportu paszportem travel visa muster manifest crew mrz border passportno passportnumber passport_no".split()
)
_FAR_PASSPORT_STEMS = ("паспорт", "パスポート", "旅券", "护照", "護照", "جواز")
_BIRTH_WORDS = frozenset(
    "born b dob d birth birthdate birthday birthdays bday dateofbirth geb geboren geborene geborener geborenen geburtsdatum geburtstag geburtstags geburt gebdatum gebdat jahrgang né née nés nées naissance ddn anniversaire naiss "
    "nac nací nació naci nacio nacido nacida nacidos nacidas nacimiento cumpleaños nato nata nati nate nascita nascite compleanno geboortedatum geboorte geboorteplaats verjaardag jarig nascido nascida nascidos nascimento nasceu nasci nasc dn aniversário "
    "ur urodzony urodzona urodzeni urodzenia urodz urodzin urodziny född födda född födelsedatum födelsedag fyller f naciste".split()
)
_FAR_BIRTH_STEMS = ("родил", "рожд", "р.", "生", "誕生", "ميلاد", "مولود", "مواليد", "ولد", "✶", "★", "urodz", "ur.")
# How far from a word about birth a date may stand.
_NEAR_BEHIND, _NEAR_BEFORE = 90, 72


def _is_other(scanned: Scanned, match: re.Match[str]) -> bool:
    before = scanned.before(match.start(), 60)
    passport = last_of(cues.PASSPORT, before)
    if _NOT_A_PASSPORT.search(before):
        return not re.search(r"(?:pass\w*|pas[zs]p\w*|паспорт\w*)\W{0,3}(?:id|nr\.?|no\.?)?\W{0,3}$", before)
    if last_of(cues.OTHER_NUMBER, before) > passport or last_of(cues.PHONE, before) > passport:
        return True
    value = match[0].upper()
    digits = sum(each.isdigit() for each in value)
    is_date = re.fullmatch(r"(?:19|20)\d{6}|[0-3]\d[01]\d(?:19|20)\d\d", value)
    return bool(is_date) or (value.isdigit() and not 7 <= digits <= 9) or digits * 2 + 1 < len(value)


MONTHS = (
    "jan(?:uary|uar|vier|uari)?|feb(?:ruary|ruar|ruari)?|f[ée]vr(?:ier)?|mar(?:ch|s|zo|t|ço|ca)?|märz|mrz|maart|mrt|apr(?:il|ile)?|avr(?:il)?|ma[yijg]|maj[a]?|mei|mai[o]?|mayo|maggio|"
    "jun[eio]?|juni|juin|junio|junho|giugno|jul[yio]?|juli|juil(?:let)?|julio|julho|luglio|aug(?:ust|usti|usti)?|août|aout|agosto?|ago|augustus|sep(?:t(?:ember|embre|iembre)?)?|setembro|set(?:tembre)?|"
    "o[ck]t(?:ober|obre|ubre)?|outubro|out|ottobre|ott|nov(?:ember|embre|iembre|embro)?|de[cz](?:ember|embre|embro)?|dic(?:iembre|embre)?|déc(?:embre)?|"
    "enero|ene|febrero|febbraio|fevereiro|fev|gennaio|genn|janeiro|abril|abr|augusti|januari|februari|czerwca|stycznia|lutego|marca|kwietnia|lipca|sierpnia|września|pa[zź]dziernika|listopada|grudnia|"
    "января|февраля|марта|апреля|мая|июня|июля|августа|сентября|октября|ноября|декабря|"
    "يناير|فبراير|مارس|أبريل|ابريل|إبريل|مايو|يونيو|يوليو|أغسطس|سبتمبر|أكتوبر|اكتوبر|نوفمبر|ديسمبر"
)
ORDINALS = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|"
    "ersten|zweiten|dritten|vierten|fünften|sechsten|siebten|siebenten|achten|neunten|zehnten|elften|zwölften|\\w{3,6}zehnten|zwanzigsten|\\w{3,7}undzwanzigsten|dreißigsten|einunddreißigsten|premier|primero|primo|primeiro|"
    "un|deux|trois|quatre|cinq|six|sept|huit|neuf|dix|onze|douze|treize|quatorze|quinze|seize|dix-sept|dix-huit|dix-neuf|vingt|vingt et un|vingt-\\w{2,6}|trente|trente et un|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce|trece|catorce|quince|veinte|"
    "twentieth|twenty[- ](?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|thirtieth|thirty[- ]first"
)
_WORD_YEAR = r"(?:nineteen|twenty|two thousand)[- ](?:and )?(?:hundred )?[a-z]{1,12}(?:[- ][a-z]{1,12})?|(?:neunzehn|zweitausend)\w{0,24}|mille neuf cent[\w -]{1,40}|deux mille[\w -]{0,40}|mil novecientos[\w ]{1,40}|dos mil[\w ]{0,40}"
_YEAR = r"(?:(?:18|19|20)\d\d)"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_DATE = re.compile(
    rf"(?<![\w./-])(?:{_DAY}[./-]\s?(?:0?[1-9]|1[0-2])[./-]\s?(?:{_YEAR}|'?\d\d)(?![\w/-]|\.\d)"
    rf"|(?:0?[1-9]|1[0-2])[./-](?:1[3-9]|2\d|3[01])[./-](?:{_YEAR}|\d\d)(?![\w/-]|\.\d)"
    rf"|{_YEAR}[./-](?:0?[1-9]|1[0-2])[./-]{_DAY}(?![\w/-]|\.\d)"
    rf"|{_DAY}[ -](?:0?[1-9]|1[0-2])[ -]{_YEAR}(?!\w)"
    rf"|{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\w)|{_DAY}(?:0[1-9]|1[0-2]){_YEAR}(?!\w)"
    rf"|(?:the\s)?(?:{_DAY}(?:st|nd|rd|th|er|re|ème|e|\.|º|°|ª|-go|:e|a)?|{ORDINALS})[\s-]?\s?(?:of\s|de\s|d'|di\s|do\s|den\s)?(?:{MONTHS})\.?,?[\s-]{{1,2}}(?:de\s|del\s|do\s|of\s|in\s)?(?:{_YEAR}(?:\s(?:года|r\.|г\.))?|'?\d\d(?!\d|[:.]\d)|{_WORD_YEAR})(?!\w)"
    rf"|(?:{MONTHS})\.?[\s-]{{1,2}}(?:the\s)?(?:{_DAY}(?:st|nd|rd|th)?|{ORDINALS}),?[\s-]{{1,2}}(?:{_YEAR}|{_WORD_YEAR})(?!\w)"
    rf"|{_YEAR}\s?年\s?\d{{1,2}}\s?月\s?\d{{1,2}}\s?[日号號]"
    rf"|(?:昭和|平成|令和|大正|民国)\s?(?:\d{{1,2}}|元)\s?年\s?\d{{1,2}}\s?月\s?\d{{1,2}}\s?日)"
    r"|(?<=[\u3040-\u9fff])(?:\d{4}年\d{1,2}月\d{1,2}[日号號]|(?:昭和|平成|令和|大正)\d{1,2}年\d{1,2}月\d{1,2}日|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?!\d))",
    re.IGNORECASE,
)
DATE = _DATE
_CUE_REACH = 72
# Between what says "birth" and the date stands no other verb, number or sentence.
_STOPS = re.compile(
    r"[;!?\d]|\bout of\b|\n\s*\n|[.:](?=\s[^\W\d_]+\s)|(?<![^\W\d_])(?:joined|admitted|since|from|until|issued|expir\w*|valid|moved|married|died|d\.|released|updated|signed|visit\w*|appointment|hired|started|party|"
    r"cake|card|gift|leave|present|seit|gültig|ausgestellt|verheiratet|gestorben|gest\.|depuis|jusqu|valable|décédé\w*|desde|hasta|válido|dal|fino|scade|sinds|tot|desde|até|od|do dnia|с тех|действ\w*|sedan|till|"
    r"fest\b|feier\w*|fête|fiesta|festa|feestje|impreza)\b"
)


def dates_of_birth(scanned: Scanned) -> Iterator[Finding]:
    """Yield the dates that the text says are births."""
    last = 0
    column: _Column | None = None
    if not (places := _places_of_births(scanned)):
        return
    if "nineteen" in scanned.words or "thousand" in scanned.words or "neunzehnhundert" in scanned.lower:
        yield from _in_words(scanned)
    for start, end in scanned.runs:
        if start < last or not _may_be_dated(scanned.text, start, end):
            continue
        column = column or _column(scanned.lower)
        if not column.mark and not _is_near(places, start - _NEAR_BEHIND, end + _NEAR_BEFORE):
            continue
        match = _date_at(scanned, start, max(last, start - 34))
        if match is None:
            continue
        last = match.end()
        if _is_birth(scanned, match) or column.holds(scanned.text, match.start()):
            yield Finding(Kind.DATE_OF_BIRTH, match.start(), match.end(), 0.9)


def _may_be_dated(text: str, start: int, end: int) -> bool:
    """Return whether digits may begin a date: a day or a month with a mark or a word behind it, a year, or all in one."""
    if end - start <= 2:
        return text[end : end + 1] in _BEHIND_A_DAY and int(text[start:end]) <= 31
    return end - start == 8 or (end - start == 4 and text[start : start + 2] in _CENTURIES)


_BEHIND_A_DAY = frozenset("./- ,sntrdeaèº°ª:'年月")
_CENTURIES = frozenset(("18", "19", "20"))


def _in_words(scanned: Scanned) -> Iterator[Finding]:
    """Yield births without a digit: the first of May nineteen sixty-two."""
    for match in _DATE.finditer(scanned.text):
        if not any(each.isdigit() for each in match[0]) and _is_birth(scanned, match):
            yield Finding(Kind.DATE_OF_BIRTH, match.start(), match.end(), 0.85)


def _is_near(places: list[int], earliest: int, latest: int) -> bool:
    """Return whether one of the places, which are in order, lies between two."""
    at = bisect_left(places, earliest)
    return at < len(places) and places[at] <= latest


def _places_of_births(scanned: Scanned) -> list[int]:
    places = scanned.places(_BIRTH_WORDS, _FAR_BIRTH_STEMS)
    at = scanned.text.find("*")
    while at >= 0:
        places.append(at)
        at = scanned.text.find("*", at + 1)
    return sorted(places)


# Every date has one of these: the expression of all of them takes long to say that there is none.
_IN_DIGITS = re.compile(r"\d[./-]\s?'?\d|\d[ -]\d|\d{8}|[年月日]")
_MONTH_STEMS = (
    "jan", "feb", "fév", "fev", "mar", "mär", "mrz", "maa", "mrt", "apr", "avr", "may", "mai", "maj", "mag", "mei", "jun", "jui", "giu",
    "jul", "lug", "aug", "aoû", "aou", "ago", "sep", "set", "oct", "okt", "out", "ott", "nov", "dec", "dez", "dic", "déc", "ene", "gen",
    "abr", "cze", "sty", "lut", "kwi", "lip", "sie", "wrz", "paz", "paź", "lis", "gru", "янв", "фев", "мар", "апр", "мая", "июн", "июл",
    "авг", "сен", "окт", "ноя", "дек", "يناير", "فبراير", "مارس", "أبريل", "ابريل", "إبريل", "مايو", "يونيو", "يوليو", "أغسطس",
    "سبتمبر", "أكتوبر", "اكتوبر", "نوفمبر", "ديسمبر",
)  # fmt: skip


def _date_at(scanned: Scanned, digits: int, earliest: int) -> re.Match[str] | None:
    """Return the date that holds these digits."""
    around = scanned.lower[earliest : digits + 48]
    if not _IN_DIGITS.search(around) and not any([one in around for one in _MONTH_STEMS]):
        return None
    for match in _DATE.finditer(scanned.text, earliest, digits + 48):
        if match.start() <= digits < match.end():
            return match
    return None


def _is_birth(scanned: Scanned, match: re.Match[str]) -> bool:
    before = scanned.before(match.start(), _CUE_REACH)
    cue = last_of(cues.BIRTH_BEFORE, before)
    if cue >= 0 and not _STOPS.search(before, cue + len(before[cue:]) - len(before[cue:].lstrip("?!*: "))):
        return True
    return bool(cues.BIRTH_BEHIND.match(scanned.behind(match.end(), 44)))


class _Column(NamedTuple):
    """Which column of a table has births, by its head; no mark: there is none."""

    mark: str
    place: int
    head_end: int

    def holds(self, text: str, place: int) -> bool:
        """Return whether a place stands in it."""
        if not self.mark or place < self.head_end:
            return False
        return text.count(self.mark, text.rfind("\n", 0, place) + 1, place) == self.place


def _column(lower: str) -> _Column:
    head_end = lower.find("\n")
    head = lower[: max(0, head_end)]
    mark = next((each for each in "\t;|," if head.count(each) and lower.count(each, head_end) >= head.count(each)), "")
    places = [place for place, name in enumerate(head.split(mark) if mark else ()) if cues.BIRTH_BEFORE.search(name)]
    is_head = bool(places) and len(head) < _MAX_HEAD and not any(map(str.isdigit, head))
    return _Column(mark, places[0], head_end) if is_head else _Column("", 0, 0)


_MAX_HEAD = 200
