"""What is said of a word that may be part of a person's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from penstock_gateway.domain.guardrails.pii.finding import Finding
from penstock_gateway.domain.guardrails.pii.likeness import Weights
from penstock_gateway.domain.guardrails.pii.tokens import (
    Near,
    Token,
    begins_sentence,
    class_of,
    mail_parts,
    mark_before,
    mark_behind,
)

_EDGE = Token("", 0, 0, "", "")
# What introduces a name that may be written in small letters.
_SMALL_NAMES_BEHIND = frozenset(
    "i'm im its it's hey hi hello thx thanks name called ich bin ciao hola hallo salut hej hoi @ is".split()
)


_LEAST_OF_A_SMALL_NAME = 0.5


class Around(NamedTuple):
    """A text as its words are judged: likenesses are looked up once for each word."""

    text: str
    tokens: list[Token]
    known: Sequence[Finding]
    mails: frozenset[str]
    likenesses: dict[str, tuple[float, float]]
    weights: Weights
    near: Near

    def likeness(self, lower: str) -> tuple[float, float]:
        """Return how much a word looks like a name, and like a place or a brand."""
        found = self.likenesses.get(lower)
        if found is None:
            found = self.likenesses[lower] = self.weights.likeness(lower)
        return found


def around(text: str, tokens: list[Token], known: Sequence[Finding], weights: Weights) -> Around:
    """Return the text to judge."""
    return Around(text, tokens, known, mail_parts(text, known), {}, weights, Near(known))


def may_be_a_name(all_: Around, place: int) -> bool:
    """Return whether a word is judged at all: it has a capital, or it is introduced as a name."""
    token = all_.tokens[place]
    if token.shape in {"Xx", "X-x", "XxX"}:
        return all_.text[token.start - 1 : token.start] not in {"@", "_"}
    if token.shape == "X":
        return _is_an_initial(all_, place)
    if token.shape == "XX":
        return len(token.text) > 2 and (all_.likeness(token.lower)[0] > 0 or _is_inverted(all_, place))
    return token.shape == "x" and place > 0 and _is_introduced(all_, place)


def _is_introduced(all_: Around, place: int) -> bool:
    """Return whether a name in small letters is introduced, as in "hi, i'm dana"."""
    before = all_.tokens[place - 1].lower
    said = all_.text[all_.tokens[place - 1].start : all_.tokens[place].start].rstrip().lower()
    if not {before, said} & _SMALL_NAMES_BEHIND or "-" in all_.tokens[place].text:
        return False
    if before == "is" and (place < 2 or all_.tokens[place - 2].lower not in {"name", "this"}):
        return False
    return all_.likeness(all_.tokens[place].lower)[0] > _LEAST_OF_A_SMALL_NAME


def _is_an_initial(all_: Around, place: int) -> bool:
    """Return whether one capital letter has a full stop, and a word with a capital beside it."""
    token = all_.tokens[place]
    if all_.text[token.end : token.end + 1] != "." or place + 1 >= len(all_.tokens):
        return False
    behind = all_.tokens[place + 1]
    return all_.text[token.end : behind.start] in {". ", "."} and behind.shape != "x"


def _is_inverted(all_: Around, place: int) -> bool:
    """Return whether a word in capitals stands before a comma and a name: OKAFOR, Chidi."""
    if place + 1 >= len(all_.tokens):
        return False
    token, behind = all_.tokens[place], all_.tokens[place + 1]
    return all_.text[token.end : behind.start] == ", " and behind.shape == "Xx" and all_.likeness(behind.lower)[0] > 0


def _level(odds: float) -> str:
    """Return log-odds in steps."""
    return str(max(-4, min(4, round(odds))))


def features_of(all_: Around, place: int, tagged: str) -> list[str]:
    """Return the features of one word; ``tagged`` says what the words before it were taken for (N name, o other)."""
    tokens, text, token = all_.tokens, all_.text, all_.tokens[place]
    name, other = all_.likeness(token.lower)
    level = _level(name)
    start = "s" if begins_sentence(text, token.start) else "m"
    near = all_.near.kinds(token.start, token.end)
    mark = mark_before(text, token.start) + mark_behind(text, token.end)
    others, own = _others(all_, place), class_of(token.lower)
    before = tokens[place - 1] if place else _EDGE
    adjoined = tagged[-1:] + _joined(text[before.end : token.start] if before.text else "^")
    return [
        *_of_words_beside(all_, place, level),
        "l" + level + "/" + _level(other),
        "L" + level + "/" + _level(other) + start + token.shape,
        "n" + level,
        "N" + _level(name - other) + start,
        "h" + token.shape + start,
        "H" + token.shape + str(min(len(token.text), 5)),
        "m" + mark + start,
        "M" + mark[0] + level,
        "K" + mark[1:] + level,
        "t" + adjoined,
        "T" + adjoined + level,
        "k" + near[0] + "," + near[1],
        "e" + ("1" if token.lower in all_.mails else "0"),
        "d" + ("1" if all_.known else "0") + start,
        "o" + others,
        "O" + others + level,
        "w" + own,
        "W" + own + class_of(before.lower) + level,
    ]


def _of_words_beside(all_: Around, place: int, level: str) -> list[str]:
    """Return what the two words on each side say."""
    tokens, token = all_.tokens, all_.tokens[place]
    before = tokens[place - 1] if place else _EDGE
    behind = tokens[place + 1] if place + 1 < len(tokens) else _EDGE
    second_before = tokens[place - 2] if place > 1 else _EDGE
    second_behind = tokens[place + 2] if place + 2 < len(tokens) else _EDGE
    gap_before = all_.text[before.end : token.start] if before.text else "^"
    gap_behind = all_.text[token.end : behind.start] if behind.text else "$"
    left, right = class_of(before.lower), class_of(behind.lower)
    joined_before, joined_behind = _joined(gap_before), _joined(gap_behind)
    beside = _beside(all_, before, gap_before) + "|" + _beside(all_, behind, gap_behind)
    return [
        "p" + before.lower + gap_before[:2],
        "b" + behind.lower + gap_behind[:2],
        "P" + second_before.lower + before.lower,
        "c" + left + "," + right + joined_before + joined_behind,
        "C" + left + level + joined_before,
        "D" + right + level + joined_behind,
        "x" + class_of(second_before.lower) + left,
        "X" + right + class_of(second_behind.lower),
        "i" + beside,
        "I" + beside + level,
    ]


def _others(all_: Around, place: int) -> str:
    """Return whether words with capitals near by look like places or brands."""
    near = all_.tokens[max(0, place - 3) : place] + all_.tokens[place + 1 : place + 4]
    return _level(max((all_.likeness(one.lower)[1] for one in near if one.shape != "x"), default=-4.0) / 2)


def _joined(gap: str) -> str:
    """Return whether words stand side by side."""
    if gap in {" ", ""}:
        return "_"
    if gap == ". ":
        return "."
    return "," if gap == ", " else "~"


def _beside(all_: Around, token: Token, gap: str) -> str:
    if not token.text or _joined(gap) == "~":
        return "-"
    name, other = all_.likeness(token.lower)
    return token.shape + str(max(-2, min(2, round(name / 2)))) + str(max(-1, min(1, round(other / 3)))) + _joined(gap)
