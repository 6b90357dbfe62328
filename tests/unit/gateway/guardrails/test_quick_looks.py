"""What makes looks quick changes nothing of what is found: gates of words, patterns and personal data."""

from __future__ import annotations

import random
import re

import pytest

from penstock_gateway.domain.guardrails.pattern_cost import checked_pattern, first_of, literal_of, needs_digit
from penstock_gateway.domain.guardrails.pii.detector import Detector
from penstock_gateway.domain.guardrails.pii.papers import _MONTH_STEMS, MONTHS
from penstock_gateway.domain.guardrails.pipeline.rule import Surface
from penstock_gateway.domain.guardrails.plain import plain
from penstock_gateway.domain.guardrails.rules.phrases import Needed, Patterns, Words

PHRASES = [
    "Acme Corp",
    "Straße 9",
    "İstanbul",
    "maſs",
    "C++",
    ".net",
    "@all",
    "Café",
    "x-y",
    "ŉa",
    "ǰab",
    "!!",
    "Kelvin",
    "ﬁne",
]
LETTERS = "aAcCmMeE oOrRpP.+-@!sSßſıİiIkKfﬁnŉj\u030cǰ\u0345tTxyéE\u0301 "


def texts(count):
    rng = random.Random(11)
    for _ in range(count):
        said = [rng.choice([rng.choice(PHRASES), "".join(rng.choices(LETTERS, k=4))]) for _ in range(rng.randint(1, 5))]
        text = rng.choice([" ", "", "\n"]).join(said)
        yield rng.choice([text, text.upper(), text.lower(), text.swapcase()])


@pytest.mark.parametrize("more", [0, 60])
def test_a_phrase_is_found_wherever_its_expression_finds_it(more):
    phrases = [*PHRASES, *[f"nowhere{at}" for at in range(more)]]
    words = Words(phrases)
    found = 0
    for text in texts(3000):
        is_there = words._pattern.search(text) is not None
        found += is_there
        assert words._needs.may_be_in(text) or not is_there, text
        read = plain(text)
        seen = text if read is None else read.text
        assert words._plain_needs.may_be_in(seen) or words._of_plain.search(seen) is None, text
    assert found > 500
    assert not Needed(["acme corp"]).may_be_in("Of another company.")


@pytest.mark.parametrize(
    ("pattern", "literal", "is_with_digits", "first"),
    [
        (r"\bORD-\d{4,8}\b", "ORD-", True, "O"),
        (r"[A-Z]{2}\d{6}", "", True, "AZ"),
        (r"(?i)ord-\d", "", True, "oO"),
        (r"(?:foo|bar)baz", "baz", False, None),
        (r"a{0,3}bc", "bc", False, None),
        (r"x\w{1,3}yz", "yz", False, "x"),
        (r"[^a]bc", "bc", False, None),
        (r"\d?abc", "abc", False, None),
    ],
)
def test_what_a_pattern_needs_stands_in_all_that_it_matches(pattern, literal, is_with_digits, first):
    compiled, _ = checked_pattern(pattern)
    begins = first_of(compiled)
    assert (literal_of(compiled), needs_digit(compiled)) == (literal, is_with_digits)
    assert (begins is None) == (first is None)
    assert begins is None or all(begins.fullmatch(one) for one in first)
    rng = random.Random(3)
    for _ in range(2000):
        text = "".join(rng.choices("oOrRdD-0123 abcfxyzAZ٣", k=14))
        for one in compiled.finditer(text):
            assert literal in one[0]
            assert not is_with_digits or re.search(r"\d", one[0])
            assert begins is None or begins.match(one[0])


def test_digits_of_any_script_are_digits_of_a_pattern():
    look = Patterns([r"\bORD-\d{4}\b"])
    assert [one[:3] for one in look.found("It is ORD-٣٤٥٦.", Surface.INPUT)] == [("pattern_0", 6, 14)]
    assert look.found("It is ORD-none.", Surface.INPUT) == []


def test_each_month_has_a_stem():
    said = re.sub(r"\(\?:([^()]*)\)\?", "", MONTHS).split("|")
    for one in said:
        for letter in re.search(r"\[(.*?)\]", one)[1] if "[" in one.split("(")[0] else "-":
            name = re.sub(r"\[.*?\]\??", letter, one)
            assert any(stem in name for stem in _MONTH_STEMS), name


def test_an_address_that_is_spelled_out_is_found_behind_many_words():
    prose = "At the point where we stand, nobody looks at the river. " * 40
    found = Detector().findings(f"{prose}Write to john dot doe at example dot com. {prose}")
    assert [one.kind.value for one in found] == ["email"]


@pytest.mark.parametrize(
    "text",
    ["We stop at this point in time.", "Nobody looks at the point where it ends.", "He arrived at some point last week.", "It boils at melting point already."],
)  # fmt: skip
def test_a_point_in_time_is_no_address(text):
    assert Detector().findings(text) == []


def test_a_letter_that_looks_like_one_of_an_ibans_makes_no_rule_fail():
    detector = Detector()
    for letter in "İıſ":
        detector.findings(f"Mein Konto: AT18 0650{letter} 6178 0850 1662.")


def test_what_was_found_last_is_that_of_the_text_that_is_asked_about():
    detector = Detector()
    first, second = "Write to ada@example.com.", "Write to bob@example.com."
    assert detector.findings(first) == detector.findings(first) == Detector().findings(first)
    assert detector.findings(second) == Detector().findings(second)
    assert detector.findings("") == []
