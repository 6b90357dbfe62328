"""Words and patterns in letters that are not what they look like, and among what nobody sees."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from penstock_common.errors import GuardrailRefused
from penstock_gateway.domain.guardrails.pipeline.rule import Found, Hold, Surface
from penstock_gateway.domain.guardrails.pipeline.windows import MOST_HELD, WidthStage
from penstock_gateway.domain.guardrails.rules.phrases import Patterns, Words

sys.path.insert(0, str(Path(__file__).parent))
from pipeline_world import entered, guarding_of, said, text_seen

RULES = {
    "rivals": {"kind": "words", "deny": ["Acme Corp", "Straße 9", "Müller", "город"], "action": "redact"},
    "orders": {"kind": "pattern", "patterns": [r"\bORD-\d{4,8}\b"], "action": "redact"},
}
DISGUISED = [
    "Ac\u200bme Corp", "Acme\u00adCorp".replace("\u00ad", "\u00ad "), "Ａｃｍｅ　Ｃｏｒｐ", "𝐀𝐜𝐦𝐞 𝐂𝐨𝐫𝐩", "\u0410cme Corp",
    "\u0410\u0441\u043c\u0435 Corp", "A\u0336c\u0336m\u0336e\u0336 Corp", "ACME\u2003CORP", "A\ufe0fcme C\u2060o\u2060rp",
    "STRASSE 9", "strasse 9", "straße 9", "Mu\u0308ller", "M\u00fcller", "ГОРОД",
    "Ac" + "\u200b" * 60 + "me Corp", "A" + "\U000e0101" * 60 + "cme Corp", "O\u200bRD-12345", "ＯＲＤ-１２３４５", "\u041eRD-1234",
]  # fmt: skip


@pytest.mark.parametrize("word", DISGUISED)
async def test_disguises_hide_no_word_in_any_cut(word):
    text = f"I buy from {word}, or not: ACMECorp, Muller, Градус, é\u0301 stay."
    redacted = "I buy from [REDACTED], or not: ACMECorp, Muller, Градус, é\u0301 stay."
    (message,) = await entered(guarding_of(RULES, input=["rivals", "orders"]), said(text))
    assert message.text == redacted
    for pieces in ([text], list(text), *([text[:at], text[at:]] for at in range(12, len(text), 19))):
        assert await text_seen(guarding_of(RULES, output=["rivals", "orders"]), pieces) == redacted


async def test_a_disguised_word_refuses():
    rules = {"rivals": {"kind": "words", "deny": ["acme"]}}
    with pytest.raises(GuardrailRefused):
        await entered(guarding_of(rules, input=["rivals"]), said("buy \u0410\u0441\u043c\u0435"))


@pytest.mark.parametrize("text", ["Ĳacme", "xАсме", "Асмеx", "Ａcmé", "дacme"])
def test_borders_of_words_stay_where_they_are(text):
    assert Words(["acme"]).found(text, Surface.INPUT) == []


def test_places_are_those_of_the_text_as_it_was_given():
    text = "ﬁ \u200bA\u200bcme\u200b and ß acme"
    found = Words(["acme"]).found(text, Surface.INPUT)
    assert [text[one.start : one.end] for one in found] == ["A\u200bcme", "acme"]
    assert [text[one.start : one.end] for one in Patterns(["a[ck]me", "fi"]).found(text, Surface.INPUT)] == [
        "ﬁ",
        "acme",
    ]


@pytest.mark.parametrize("piece", ["\u200b" * 4, "x" + "\u200b" * 3])
async def test_what_nobody_sees_is_looked_at_a_few_times_however_it_comes(piece):
    looked = 0

    def find(text: str) -> list[Found]:
        nonlocal looked
        looked += len(text)
        return []

    stage, text = WidthStage(find, lambda found, text: None, Hold(width=5)), piece * 1000
    out = [await stage.feed(piece) for _ in range(1000)]
    assert "".join([*out, await stage.end()]) == text
    assert looked < 40 * len(text)


async def test_a_word_is_found_among_as_much_as_is_held():
    for unseen, left in ((MOST_HELD - 10, "buy [REDACTED] now"), (MOST_HELD + 10, "buy acme now")):
        pieces = ["buy a", *["\u200b" * 10] * (unseen // 10), "cme now"]
        got = await text_seen(
            guarding_of({"w": {"kind": "words", "deny": ["acme"], "action": "redact"}}, output=["w"]), pieces
        )
        assert got.replace("\u200b", "") == left
