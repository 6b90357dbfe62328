"""Numbers that are spelled out, as a transcript has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from penstock_gateway.domain.guardrails.pii import cues
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.numbers import last_of, luhn
from penstock_gateway.domain.guardrails.pii.scanned import Scanned

_UNITS = {
    0: "zero oh o nought null nul zéro cero zero zerro ноль нуль nolla noll صفر",
    1: "one eins ein een één un une uno una um uma jeden один en ett واحد",
    2: "two zwei zwo twee deux dos due dois duas dwa два две två اثنان",
    3: "three drei drie trois tres tre três trzy три ثلاثة",
    4: "four vier quatre cuatro quattro quatro cztery четыре fyra أربعة",
    5: "five fünf fuenf vijf cinq cinco cinque pięć пять fem خمسة",
    6: "six sechs zes seis sei sześć шесть sex ستة",
    7: "seven sieben zeven sept siete sette sete siedem семь sju سبعة",
    8: "eight acht huit ocho otto oito osiem восемь åtta ثمانية",
    9: "nine niner neun negen neuf nueve nove dziewięć девять nio تسعة",
    10: "ten zehn tien dix diez dieci dez dziesięć десять tio", 11: "eleven elf onze once undici onze", 12: "twelve zwölf twaalf douze doce dodici doze",
    13: "thirteen dreizehn dertien treize trece tredici treze", 14: "fourteen vierzehn veertien quatorze catorce quattordici catorze",
    15: "fifteen fünfzehn vijftien quinze quince quindici quinze", 16: "sixteen sechzehn zestien seize dieciséis sedici dezesseis",
    17: "seventeen siebzehn zeventien diecisiete diciassette", 18: "eighteen achtzehn achttien dieciocho diciotto dezoito", 19: "nineteen neunzehn negentien diecinueve diciannove",
    20: "twenty zwanzig twintig vingt veinte venti vinte двадцать", 30: "thirty dreißig dertig trente treinta trenta trinta тридцать", 40: "forty fourty vierzig veertig quarante cuarenta quaranta quarenta сорок",
    50: "fifty fünfzig vijftig cinquante cincuenta cinquanta cinquenta пятьдесят", 60: "sixty sechzig zestig soixante sesenta sessanta sessenta шестьдесят",
    70: "seventy siebzig zeventig setenta settanta семьдесят", 80: "eighty achtzig tachtig ochenta ottanta oitenta восемьдесят", 90: "ninety neunzig negentig noventa novanta девяносто",
}  # fmt: skip
_VALUES = {word: value for value, words in _UNITS.items() for word in words.split()}
_REPEATS = {"double": 2, "triple": 3, "treble": 3, "doppel": 2, "dubbel": 2, "doble": 2, "doppio": 2, "дважды": 2}
_KANJI = {each: value for value, each in enumerate("〇一二三四五六七八九")} | {"零": 0, "ゼロ": 0}
_WORD = re.compile(r"[^\W\d_]+|\d+")
_BETWEEN = re.compile(r"[\s,.\-–;]{1,3}(?:(?:and|dash|hyphen|space|then|und|et|y|e|punkt|strich|minus)[\s,\-]{1,2})?")
_FAR_GATES = ("ноль", "семь", "девять", "восемь", "صفر")
_KANJI_RUN = re.compile(r"(?:[〇零一二三四五六七八九][\s、,-]?){7,16}")
_LEAST = 7
DIGIT_WORDS = frozenset(_VALUES) | frozenset(_REPEATS)
# A number of seven digits is said with more different words than these; "a one in two chance" is not.
_FEWEST_WORDS = 2
# Of such a number one word at least is longer; "one" stands in many words.
_SHORT_WORD = 3


def spoken(scanned: Scanned) -> Iterator[Finding]:
    """Yield numbers of at least seven spelled digits: cards, social security numbers, telephone numbers."""
    lower = scanned.lower
    said = DIGIT_WORDS & scanned.words
    if (len(said) > _FEWEST_WORDS and _counts(lower, [one for one in said if len(one) > _SHORT_WORD])) or (
        not scanned.is_ascii and _counts(lower, _FAR_GATES)
    ):
        for digits, start, end in _sequences(lower):
            if kind := _kind(scanned, digits, start):
                yield Finding(kind, start, end, 0.8)
    if not scanned.is_ascii and ("〇" in lower or "零" in lower or "九" in lower or "七" in lower):
        for match in _KANJI_RUN.finditer(lower):
            digits = "".join(str(_KANJI[each]) for each in match[0] if each in _KANJI)
            if kind := _kind(scanned, digits, match.start()):
                yield Finding(kind, match.start(), match.start() + len(match[0].rstrip(" 、,-")), 0.8)


def _counts(lower: str, gates: Sequence[str]) -> bool:
    """Return whether a digit is spelled right behind one of these."""
    for gate in gates:
        at = lower.find(gate)
        while at >= 0:
            end = at + len(gate)
            behind = None if lower[at - 1 : at].isalpha() else _NEXT.match(lower, end)
            if behind and (_said(behind[1]) or behind[1] in _REPEATS):
                return True
            at = lower.find(gate, end)
    return False


_NEXT = re.compile(r"[\s,.\-–]{1,3}([^\W\d_]+)")


def _sequences(lower: str) -> Iterator[tuple[str, int, int]]:
    """Yield what numbers in words say, with where they stand."""
    digits, start, end, repeat, tens = "", 0, 0, 1, False
    for match in _WORD.finditer(lower):
        said = _said(match[0])
        joined = digits and _BETWEEN.fullmatch(lower, end, match.start())
        if said is None and match[0] not in _REPEATS and not (joined and match[0] in JOINS):
            if len(digits) >= _LEAST:
                yield digits, start, end
            digits, repeat, tens = "", 1, False
            continue
        if digits and not joined and len(digits) >= _LEAST:
            yield digits, start, end
        if not digits or not joined:
            digits, start, tens = "", match.start(), False
        if said is None:
            repeat = _REPEATS.get(match[0], repeat)
            end = match.end() if match[0] in _REPEATS and digits else end
            if not digits:
                end = match.end()
                digits = "" if match[0] in _REPEATS else digits
            start = match.start() if not digits else start
            continue
        if tens and len(said) == 1 and said != "0":
            digits = digits[:-1] + said
        else:
            digits += said * repeat
        tens, repeat, end = len(said) == 2 and said[1] == "0" and said != "10", 1, match.end()
    if len(digits) >= _LEAST:
        yield digits, start, end


JOINS = frozenset("and und et y e dash hyphen".split())


def is_spelled(word: str) -> bool:
    """Return whether a word of small letters is a number, or says how often a digit stands."""
    return word in _REPEATS or _said(word) is not None


def _said(word: str) -> str | None:
    value = _VALUES.get(word)
    if value is not None:
        return str(value)
    if "und" in word or "en" in word[3:]:
        unit, _, ten = word.partition("und") if "und" in word else word.partition("en")
        if unit in _VALUES and ten in _VALUES and _VALUES[ten] >= 20:
            return str(_VALUES[ten] + _VALUES[unit])
    return None


def _kind(scanned: Scanned, digits: str, start: int) -> Kind | None:
    before = scanned.before(start, 90)
    if len(digits) >= 13:
        return Kind.CREDIT_CARD if luhn(digits) and len(digits) <= 19 else None
    ssn, phone, other = (last_of(each, before) for each in (cues.SSN, cues.PHONE, cues.OTHER_NUMBER))
    if len(digits) == 9 and ssn > max(phone, other):
        return Kind.SSN_US
    if other > phone and other >= 0:
        return None
    return Kind.PHONE if phone >= 0 or digits[0] == "0" or len(digits) >= 10 or "number" in before else None
