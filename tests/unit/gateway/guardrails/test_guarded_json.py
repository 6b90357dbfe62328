"""Arguments of calls, and quotations: JSON may spell a text in many ways, and rules see through all of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from penstock_common.llm.types import Message, Role, Text, TextDelta, ToolCall, ToolCallDelta
from penstock_gateway.domain.guardrails.pipeline.refusing import AnswerRefused

sys.path.insert(0, str(Path(__file__).parent))
from pipeline_world import FINISHED, STARTED, arguments_of, entered, guarding_of, said, seen

NUMBER, MAIL = "4539 1488 0343 6467", "ada.lovelace@example.com"
RULES = {
    "cards": {"kind": "pii", "types": ["credit_card"]},
    "names": {"kind": "pii", "action": "pseudonymise", "types": ["email"]},
    "rivals": {"kind": "words", "deny": ["acme corp"], "surfaces": ["tool_call", "output"]},
}


def call_of(document: str) -> list[ToolCallDelta]:
    return [ToolCallDelta(index=0, id="c", name="pay", arguments_json_fragment=document)]


@pytest.mark.parametrize(
    ("document", "left"),
    [
        (f'{{"a":"\\ud800 {NUMBER}"}}', '{"a":"\ufffd [CREDIT_CARD]"}'),
        (f'{{"a":"\\ud800","b":"{NUMBER}"}}', '{"a":"\\ud800","b":"[CREDIT_CARD]"}'),
        (f'{{"a":"\\ud83d\\ude00 {NUMBER}"}}', '{"a":"\U0001f600 [CREDIT_CARD]"}'),
        ('{"a":-4539148803436467,"b":[-1]}', '{"a":"-[CREDIT_CARD]","b":[-1]}'),
        ('{"a":"\\u0034539 1488 0343 646\\u0037"', '{"a":"[CREDIT_CARD]"'),
        ('{"a":"\\u0034539 1488 0343 646\\u0037', '{"a":"[CREDIT_CARD]'),
        ('{"a":"\\u0034539 1488 0343 646\\u0037 and \\u00', '{"a":"[CREDIT_CARD] and '),
        ('{"a":"\\u0034539 1488 0343 646\\u0037 and \\\\\\', '{"a":"[CREDIT_CARD] and \\\\'),
    ],
)  # fmt: skip
async def test_escapes_hide_nothing_and_break_nothing(document, left):
    got = await seen(guarding_of(RULES, output=["cards"]), [(STARTED,), call_of(document), (FINISHED,)])
    assert arguments_of(got) == left
    assert left.encode()
    turn = Message(role=Role.ASSISTANT, tool_calls=(ToolCall(id="c", name="pay", arguments_json=document),))
    (message,) = await entered(guarding_of(RULES, input=["cards"]), turn)
    assert message.tool_calls[0].arguments_json == left


async def test_half_of_a_pair_may_stand_in_what_gets_another_name():
    turn = Message(
        role=Role.ASSISTANT, tool_calls=(ToolCall(id="c", name="x", arguments_json=f'{{"a":"\\udfff {MAIL}"}}'),)
    )
    (message,) = await entered(guarding_of(RULES, input=["names", "rivals"]), turn)
    assert message.tool_calls[0].arguments_json.encode().startswith(b'{"a":"\xef\xbf\xbd ')


@pytest.mark.parametrize("rules", [[], ["rivals"]])
@pytest.mark.parametrize("spelled", ["first", "at", "all"])
async def test_a_pseudonym_gets_its_own_back_however_the_call_spells_it(rules, spelled):
    guarding = guarding_of(RULES, input=["names"], output=rules)
    (message,) = await entered(guarding, said(MAIL))
    name = message.text
    escapes = {"first": name[:1], "at": "@", "all": name}[spelled]
    written = "".join(f"\\u{ord(one):04x}" if one in escapes else one for one in name)
    document = f'{{"to":"{written}","why":"\\\\u0040 \\u00e9 \\n \\/ \\u0022"}}'
    for at in range(1, len(document)):
        pieces = [*call_of(document[:at]), ToolCallDelta(index=0, arguments_json_fragment=document[at:])]
        got = arguments_of(await seen(guarding, [(STARTED,), pieces, (FINISHED,)]))
        assert json.loads(got) == {"to": MAIL, "why": '\\u0040 é \n / "'}


async def test_a_call_that_was_cut_short_gets_originals_and_what_stands_there():
    guarding = guarding_of(RULES, input=["names"])
    (message,) = await entered(guarding, said(MAIL))
    for rest in ("", "\\", "\\u00", "\\u0040"):
        got = await seen(guarding, [(STARTED,), call_of(f'{{"to":"{message.text}{rest}'), (FINISHED,)])
        assert arguments_of(got) == '{"to":"' + MAIL + rest.replace("\\u0040", "@")


async def test_quotations_of_an_answer_are_looked_at_and_get_originals():
    def quoted(text: str) -> list[tuple[object, ...]]:
        cited = json.dumps([{"cited_text": text, "start": 1}])
        return [(STARTED,), (TextDelta(text="Yes."), TextDelta(text="", citations_json=cited)), (FINISHED,)]

    def citations(events: list[object]) -> str:
        return "".join(one.citations_json for one in events if isinstance(one, TextDelta))

    got = citations(await seen(guarding_of(RULES, output=["cards"]), quoted(f"on {NUMBER}")))
    assert json.loads(got) == [{"cited_text": "on [CREDIT_CARD]", "start": 1}]
    named = guarding_of(RULES, input=["names"])
    (message,) = await entered(named, said(MAIL))
    assert json.loads(citations(await seen(named, quoted(message.text))))[0]["cited_text"] == MAIL
    with pytest.raises(AnswerRefused):
        await seen(guarding_of(RULES, output=["rivals"]), quoted("the ACME corp"))
    held = {"rivals": {**RULES["rivals"], "action": "review", "hold": True}}
    with pytest.raises(AnswerRefused):
        await seen(guarding_of(held, output=["rivals"]), quoted("the ACME corp"))


async def test_what_a_turn_of_before_quotes_is_looked_at():
    cited = json.dumps([{"cited_text": f"of {MAIL}", "type": MAIL, "encrypted_index": MAIL, "file_id": MAIL}])
    turn = Message(role=Role.ASSISTANT, parts=(Text(text="Yes.", citations_json=cited),))
    (message,) = await entered(guarding_of(RULES, input=["names"]), turn)
    (part,) = message.parts
    assert isinstance(part, Text)
    told = json.loads(part.citations_json)[0]
    assert MAIL not in told["cited_text"] and {told["type"], told["encrypted_index"], told["file_id"]} == {MAIL}
    (same,) = await entered(guarding_of(RULES, input=["cards"]), turn)
    assert same is turn
