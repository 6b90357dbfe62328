"""Findings in a text that comes in pieces: wherever it is cut they are those of the whole, and little is held."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_gateway.domain.guardrails.pii.detector import Detector
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.windows import (
    CONTEXT,
    LONGEST_NUMBER,
    LONGEST_WORD,
    Window,
    Windows,
    hold_back,
)

TRAINING = Path(__file__).parents[4] / "tools" / "train_pii"
KEY_BLOCK = (
    "-----BEGIN PRIVATE KEY-----\n" + ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 2 + "\n") * 14 + "-----END PRIVATE KEY-----"
)
PROSE = "It rained all day and nobody came, so the meeting went on without us and then some more of it. "
FIND = Detector().findings


def corpus() -> list[str]:
    sys.path.insert(0, str(TRAINING))
    try:
        from sets import read  # pyright: ignore[reportMissingImports]
    finally:
        sys.path.pop(0)
    files = ("fresh.txt", "fresh2.txt", "fresh3.txt", "validation.txt")
    return [one["text"] for name in files for one in read(TRAINING / name)]


CORPUS = corpus()


def through(text: str, cuts: list[int]) -> tuple[list[tuple[Kind, int, int]], int]:
    """Return what windows find in a text that is cut there, in places of the text, and how much they held at most."""
    windows, found, left, most = Windows(FIND), list[Finding](), "", 0
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        left = taken(windows.feed(text[start:end]), left, found)
        most = max(most, windows.held)
    left = taken(windows.end(), left, found)
    assert left == text
    return [(one.kind, one.start, one.end) for one in found], most


def taken(window: Window, left: str, found: list[Finding]) -> str:
    moved = [one._replace(start=one.start + len(left), end=one.end + len(left)) for one in window.findings]
    if window.continues:
        found[-1] = found[-1]._replace(end=moved.pop(0).end)
    found += moved
    return left + window.text


def of_whole(text: str) -> list[tuple[Kind, int, int]]:
    return [(one.kind, one.start, one.end) for one in FIND(text)]


def test_texts_that_come_sign_by_sign_have_the_findings_of_the_whole():
    assert len(CORPUS) > 400
    for text in CORPUS:
        found, most = through(text, list(range(1, len(text))))
        assert found == of_whole(text), text
        assert most <= LONGEST_NUMBER + 160


def test_a_text_cut_in_two_at_any_place_has_the_findings_of_the_whole():
    text = (
        'Mail ada.quill@quill.example or "ada quill"@quill.example, kim dot oduya at quill dot example. IBAN GB33 BUKB 2020 1555 5555 55, '
        "card 4539 1488 0343 6467. password: 'correct horse 7 battery' she was born on the second of May 1971 and https://quill.example/r?token=a8F3kk29dQ "
        "call (+44) 1632 960 431 (mobile), passport no. C01 X00T 478, host 198.51.100.77, zero seven seven double zero nine zero zero four five six."
    )
    expected = of_whole(text)
    assert len(expected) > 9
    for cut in range(1, len(text), 2):
        assert through(text, [cut])[0] == expected, cut


@given(st.lists(st.sampled_from(CORPUS), min_size=1, max_size=5), st.sampled_from(["\n", " ", "\n\n"]), st.randoms())
@settings(max_examples=60, deadline=None)
def test_where_a_text_is_cut_makes_no_difference(texts: list[str], mark: str, dice: random.Random):
    text = mark.join(texts)
    cuts = sorted(dice.sample(range(1, len(text)), min(7, len(text) - 1)))
    assert through(text, cuts)[0] == through(text, [])[0] == through(text, list(range(1, len(text))))[0]


@given(st.text(st.sampled_from("ab1 27@.:/-'\"=\n\u4e00７é+(eyJ_"), max_size=400), st.randoms())
@settings(max_examples=150, deadline=None)
def test_where_any_text_is_cut_makes_no_difference(text: str, dice: random.Random):
    cuts = sorted(dice.sample(range(1, len(text)), min(5, len(text) - 1))) if len(text) > 1 else []
    assert through(text, cuts)[0] == through(text, [])[0]


@pytest.mark.parametrize("text", CORPUS[::7])
def test_what_is_found_before_the_held_end_stays(text: str):
    whole = of_whole(text)
    for end in range(1, len(text), 3):
        kept = end - hold_back(text[:end])
        assert [one for one in of_whole(text[:end]) if one[2] <= kept] == [one for one in whole if one[2] <= kept]


def test_prose_flows_and_nothing_is_looked_for():
    looks = list[str]()

    def find(text: str) -> list[Finding]:
        looks.append(text)
        return []

    windows, held = Windows(find), list[int]()
    for start in range(0, len(PROSE) * 20, 4):
        windows.feed((PROSE * 20)[start : start + 4])
        held.append(windows.held)
    windows.end()
    assert not looks
    assert max(held) < 48


def test_rules_look_at_a_bounded_text():
    longest = 0

    def find(text: str) -> list[Finding]:
        nonlocal longest
        longest = max(longest, len(text))
        return []

    windows = Windows(find)
    for _ in range(300):
        windows.feed("On 3 May 2021 we sold 40 boxes. ")
        assert windows.held <= LONGEST_NUMBER + 160
    windows.end()
    assert 0 < longest <= CONTEXT + LONGEST_NUMBER + 160


def test_a_private_key_is_one_finding_however_it_comes():
    text = PROSE + KEY_BLOCK + " and so on. " + PROSE
    for size in (1, 7, 64, len(text)):
        found, most = through(text, list(range(size, len(text), size)))
        assert found == [(Kind.API_KEY, len(PROSE), len(PROSE) + len(KEY_BLOCK))]
        assert most <= max(size, 128)


@pytest.mark.parametrize("size", [1, 100, 20_000])
def test_a_word_without_an_end_leaves_in_parts(size: int):
    link = "https://quill.example/r?token=" + "a8F3kk29dQ" * 1_000
    text = f"see {link} now"
    found, most = through(text, list(range(size, len(text), size)))
    assert found == [(Kind.URL_WITH_TOKEN, 4, 4 + len(link))]
    assert size > LONGEST_WORD or most <= LONGEST_WORD + size


def test_no_more_is_held_than_a_word_may_have():
    for text in (
        "a" * 9_000,
        "1 " * 5_000,
        "'" * 9_000,
        "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0B\n" * 400,
    ):
        assert hold_back(text) <= LONGEST_WORD


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("the bridge was built by ", "by "),
        ("the bridge was bui", "was bui"),
        ('write to "ada van der ', '"ada van der '),
        ("write to kim dot oduya at quill ", "kim dot oduya at quill "),
        (
            "password: 'correct horse of the old green battery, 7 staple",
            "'correct horse of the old green battery, 7 staple",
        ),
        ("call (+44) 1632 960 431 if ", "call (+44) 1632 960 431 if "),
        ("IBAN GB33 BUKB 2020 1555 ", "GB33 BUKB 2020 1555 "),
        (
            "am 3. September 1971 im alten Haus der Familie zu Ufer",
            "am 3. September 1971 im alten Haus der Familie zu Ufer",
        ),
        ("zero seven seven double zero nine ", "zero seven seven double zero nine "),
    ],
)
def test_an_end_is_held_from_where_something_may_begin(text: str, held: str):
    assert hold_back(text) >= len(held)
    assert hold_back(PROSE * 9 + text) <= len(held) + 12
