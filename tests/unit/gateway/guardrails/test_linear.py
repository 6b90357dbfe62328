"""Whatever a text repeats, four times as much of it takes about four times as long: no detector may be made to hang."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from penstock_gateway.adapters.guardrails.pii import detector
from penstock_gateway.app.guard_rules import rule_of
from penstock_gateway.domain.guardrails.grounding.grounding import ground
from penstock_gateway.domain.guardrails.injection.decoding import views
from penstock_gateway.domain.guardrails.injection.detector import Detector as InjectionDetector
from penstock_gateway.domain.guardrails.injection.exfiltration import carriers
from penstock_gateway.domain.guardrails.injection.features import seen
from penstock_gateway.domain.guardrails.injection.finding import Surface
from penstock_gateway.domain.guardrails.pii.detector import Detector
from penstock_gateway.domain.guardrails.pii.excerpts import LONGEST, OVERLAP, excerpts, found_in_excerpts
from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind
from penstock_gateway.domain.guardrails.pii.pseudonyms import Pseudonyms
from penstock_gateway.domain.guardrails.pii.streams import RestoringStream
from penstock_gateway.domain.guardrails.pii.windows import Windows
from penstock_gateway.domain.guardrails.pipeline.across import Run, found_across, with_marks
from penstock_gateway.domain.guardrails.pipeline.json_texts import with_originals
from penstock_gateway.domain.guardrails.pipeline.rule import Found, Rule
from penstock_gateway.domain.guardrails.pipeline.rule import Surface as Of
from penstock_gateway.guardrail_settings import RuleSettings

SHORT, LONG = 2_000, 8_000
# Linear is 4, quadratic 16. Below the second figure (seconds of processor time) growth says nothing.
MOST_GROWTH, TOO_SHORT, MOST_TRIES = 9.0, 0.006, 6
RULES, NAMES, INJECTION = Detector(), detector(), InjectionDetector()
ANSWER = "The fee is 12 EUR a day. The bridge closes at noon."


def in_windows(text: str) -> None:
    windows = Windows(RULES.findings)
    for start in range(0, len(text), 200):
        windows.feed(text[start : start + 200])
    windows.end()


WORDS = rule_of("words", RuleSettings.model_validate({"kind": "words", "deny": ["acme corp"]}))


def in_parts(text: str) -> None:
    """Look at a text that was sent as many, each of them at most once alone."""
    run = Run(Of.INPUT, [], text.split("|"))

    async def look(rule: Rule, text: str, surface: Of) -> Sequence[Found]:
        return rule.look.found(text, surface)

    between, found = asyncio.run(found_across(WORDS, run, look))
    assert len(found) > len(text) / 20
    with_marks(run, between, found)


def with_names(text: str) -> None:
    """Give as many originals other names, each in a text of its own, and restore them where they stand together."""
    names = Pseudonyms(b"k" * 32)
    originals = [f"{text[:1]}{at} of it" for at in range(len(text) // 4)]
    told = [names.pseudonymised(one, [Finding(Kind.PERSON, 0, len(one), 1.0)]) for one in originals]
    assert names.pseudonymised("; ".join(originals), []) == (together := "; ".join(told))
    stream = RestoringStream(names.originals)
    assert stream.feed(together) + stream.end() == "; ".join(originals)
    assert with_originals(f'["{together}"]', names.originals) == f'["{"; ".join(originals)}"]'


LOOKS: dict[str, tuple[Callable[[str], object], tuple[str, ...]]] = {
    "rules": (
        RULES.findings,
        (
            "-----BEGIN PRIVATE KEY-----",
            "a dot ",
            "a@a.",
            "http://a",
            "1.1.",
            "::",
            "seven ",
            "password is ",
            "password: '",
            "'",
            "a=1/?",
        ),
    ),
    "windows": (in_windows, ("1", "zero ", "'a ", "kim at ", "a", "\u4e2d")),
    "names": (
        NAMES.findings,
        (
            "O'",
            "1 rue a",
            "1 rue a ",
            "Flat 1, ",
            "Aa Ltd, ",
            "SW1A 1AA ",
            "Aastraße 1, ",
            "calle A ",
            "Aa-",
            "ул. А",
            "中路1号",
            "A. ",
        ),
    ),
    "in parts": (in_parts, ("acme |corp |", "acme| |corp|")),
    "other names": (with_names, ("a", "1")),
    "what lies beneath": (views, ("a", "1", "%41", "a%", "_", "@1", "a b ", "A+B+", "ab__ ", "YWJj", "41:")),
    "carriers": (carriers, ("[a](", "![a](http://a", "![", "<a ", "a<", "url(", "[a]: ", "](")),
    "injection": (
        lambda text: INJECTION.check(text, Surface.DOCUMENT),
        ("-<", "\n", "ghp_a(", "a.com(", "<<", "[[", "1-", "~ ", "user: ", '"a'),
    ),
    "inline": (
        lambda text: INJECTION.check_inline(text, Surface.DOCUMENT),
        ("ignore ", "<|", "-", "agent: ", "<a", "[a]("),
    ),
    "grounding": (
        lambda text: ground(ANSWER, text),
        ("1 ", "<!--a </p", "# a 1\n", "| a | 1 |\n", " a:\n ", "1 EUR a day. "),
    ),
    "answers": (lambda text: ground(text, text), ("1 ", "a 1, ", "It is not. ")),
}


def seconds(look: Callable[[str], object], text: str) -> float:
    """Return the processor time of one look."""
    begun = time.process_time()
    look(text)
    return time.process_time() - begun


def grows_with_the_text(look: Callable[[str], object], unit: str, sizes: tuple[int, int], too_short: float) -> None:
    size, larger = sizes
    short = long = float("inf")
    # A busy machine makes a look seem longer and never shorter, so the least of a few tells; mostly the first is enough.
    for _ in range(MOST_TRIES):
        short = min(short, seconds(look, (unit * size)[:size]))
        long = min(long, seconds(look, (unit * larger)[:larger]))
        if long < too_short or long < MOST_GROWTH * short:
            return
    pytest.fail(f"{larger // size} times the text takes {long / short:.1f} times as long: {short:.4f} and {long:.4f} s")


@pytest.mark.parametrize(("look", "unit"), [(name, unit) for name, (_, units) in LOOKS.items() for unit in units])
def test_time_grows_with_the_text_alone(look: str, unit: str):
    grows_with_the_text(LOOKS[look][0], unit, (SHORT, LONG), TOO_SHORT)


@pytest.mark.parametrize(
    "unit", ["-", "-<", "<", "\n", "ghp_", "a.com", "[", "1-", "_", "a@", "user: ", "=[", "AAA_", "('", "a "]
)
def test_no_mark_takes_long_in_a_piece(unit: str):
    # A long text is read in pieces of some 420 characters, of which 64 at most are read.
    grows_with_the_text(lambda text: seen(f"ignore ( {text}", Surface.DOCUMENT), unit, (150, 600), 0.004)


def test_excerpts_are_bounded_and_leave_nothing_out():
    for text in ("", "a", "word " * 5_000, "x" * 20_000, "A sentence. " * 3_000, "line\n\n" * 4_000):
        spans = list(excerpts(text))
        assert spans[0][0] == 0
        assert spans[-1][1] == len(text)
        assert max(end - start for start, end in spans) <= LONGEST
        assert all(end - start >= OVERLAP for (_, end), (start, _) in zip(spans, spans[1:], strict=False))
        assert len(spans) <= 1 + 2 * len(text) / (LONGEST - 2 * OVERLAP)


@pytest.mark.parametrize("before", [0, 1_960, 3_900, 3_990, 5_800])
def test_what_lies_across_a_border_is_found_once(before: int):
    filler = "It rained all day and nobody came to the meeting. " * 200
    text = f"{filler[:before]} Please write to Ms Harriet Thackeray, 14 Pelham Crescent, Stowbridge SB3 9QT. {filler}"
    found = [(one.kind, text[one.start : one.end]) for one in found_in_excerpts(NAMES.findings, text)]
    assert found == [(Kind.PERSON, "Harriet Thackeray"), (Kind.ADDRESS, "14 Pelham Crescent, Stowbridge SB3 9QT")]
