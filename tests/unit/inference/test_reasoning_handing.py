"""Reasoning on its way through the attempts of one request, at the port of scripted upstreams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from penstock_common import errors
from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    Candidate,
    FinishReason,
    GenerationInput,
    Message,
    Plan,
    Reasoning,
    ReasoningDelta,
    Role,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from penstock_common.telemetry.steps import Steps
from penstock_inference.domain.batches import Batches
from penstock_inference.domain.catalogue import Capability, Catalogue, Model
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.generation import Generation, GenerationParts, Pauses
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.rules import State
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.reasoning.kept import KeptReasoning
from penstock_inference.domain.upstream import Stopped, UpstreamCall, UpstreamEvent

Reads = Sequence[Sequence[UpstreamEvent] | AttemptFailed]
END = [Usage(input_tokens=5, output_tokens=2), Stopped(FinishReason.STOP)]
SAID: Reads = [[TextDelta(text="Hi."), *END]]
EXTRA = '{"extra_content":{"google":{"thought_signature":"Cg=="}}}'
CALLED: Reads = [
    [
        ReasoningDelta(text="Hm."),
        ReasoningDelta(signature=b"s"),
        ToolCallDelta(index=0, id="c0", name="f", arguments_json_fragment="{}", extra_json=EXTRA),
        Stopped(FinishReason.TOOL_CALLS),
    ]
]
ABOUT_THINKING = AttemptFailed(FailureKind.BAD_REQUEST, "Invalid signature in thinking block", parameter="thinking")
QUESTION = Message(role=Role.USER, parts=(Text(text="Why?"),))
RESULT = Message(role=Role.TOOL, parts=(Text(text="ok"),), tool_call_id="c0")
CALL = ToolCall(id="c0", name="f", arguments_json="{}")


class Scripted:
    """An upstream that answers with the next script, and keeps what it was asked."""

    dropped = ()
    unread_bytes = 0
    ended = False
    sent = True

    def __init__(self) -> None:
        self.scripts: list[Reads] = []
        self.calls: list[UpstreamCall] = []
        self._reads: list[Sequence[UpstreamEvent] | AttemptFailed] = []

    def ask(self, call: UpstreamCall) -> Scripted:
        self.calls.append(call)
        self._reads = [*(self.scripts.pop(0) if self.scripts else SAID)]
        self.ended = False
        return self

    async def read(self) -> Sequence[UpstreamEvent]:
        read = self._reads.pop(0) if self._reads else ()
        if isinstance(read, AttemptFailed):
            raise read
        self.ended = not self._reads
        return read

    async def aclose(self) -> None:
        """Do nothing."""


class Scene:
    """Two upstreams, the first with several accounts where that is asked for."""

    def __init__(self, *accounts: str, takes_reasoning: bool = True) -> None:
        self.health = Health(chance=lambda: 0.5)
        self.first, self.second = [Scripted() for _ in accounts or ("",)], Scripted()
        endpoints = [
            Endpoint(each, f"h#{account}", account=account)
            for each, account in zip(self.first, accounts or ("",), strict=True)
        ]
        pools = {
            "first": Pool(endpoints, self.health.upstream("first"), takes_reasoning=takes_reasoning),
            "second": Pool([Endpoint(self.second)], self.health.upstream("second")),
        }
        candidates = [Candidate(upstream=name, model="m") for name in pools]
        self.plan = Plan(candidates=tuple(candidates))

        async def at_once(_: float) -> None:
            """Wait for nothing."""

        self.kept = KeptReasoning()
        self.parts = GenerationParts(
            pools, Catalogue(map(Model, candidates)), Pauses(lambda: 0.5, at_once), reasoning=self.kept
        )
        self.steps = Steps()

    async def ask(self, *messages: Message, whole: bool = False) -> Answer:
        self.steps = Steps()
        value = GenerationInput(model="m", messages=messages)
        answer = Answer()
        async for batch in Batches(Generation(value, self.plan, whole=whole), self.parts, self.steps):
            answer.extend(batch)
        return answer

    @property
    def outcomes(self) -> list[str]:
        return [f"{step.attributes['upstream']} {step.attributes['outcome']}" for step in self.steps.recorded]


def signed(origin: str = "", call: ToolCall = CALL) -> Message:
    return Message(
        role=Role.ASSISTANT, parts=(Reasoning(text="Hm.", signature=b"s", origin=origin),), tool_calls=(call,)
    )


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "streamed"])
@pytest.mark.parametrize("accounts", [(), ("k1", "k2")], ids=["one account", "two"])
async def test_what_is_bound_says_to_whom(accounts, whole):
    scene = Scene(*accounts)
    for each in scene.first:
        each.scripts.append(CALLED)
    message = (await scene.ask(QUESTION, whole=whole)).message()
    asked = next(number for number, each in enumerate(scene.first) if each.calls)
    origin = f"first/m#{accounts[asked]}" if accounts else "first/m"
    assert message.parts == (Reasoning(text="Hm.", signature=b"s", origin=origin),)
    assert [call.origin for call in message.tool_calls] == [origin]


async def test_what_is_lost_on_the_way_comes_back_to_who_takes_it():
    scene = Scene()
    scene.first[0].scripts.append(CALLED)
    message = (await scene.ask(QUESTION)).message()
    bare = Message(role=Role.ASSISTANT, tool_calls=(CALL,))
    answer = await scene.ask(QUESTION, bare, RESULT)
    assert scene.first[0].calls[-1].input.messages == (QUESTION, message, RESULT)
    assert answer.started is not None
    assert answer.started.dropped == ()


async def test_who_takes_none_is_sent_what_the_caller_sent():
    scene = Scene(takes_reasoning=False)
    scene.first[0].scripts.append(CALLED)
    await scene.ask(QUESTION)
    bare = Message(role=Role.ASSISTANT, tool_calls=(CALL,))
    answer = await scene.ask(QUESTION, bare, RESULT)
    assert scene.first[0].calls[-1].input.messages == (QUESTION, bare, RESULT)
    assert answer.started is not None
    assert answer.started.dropped == ()


async def test_an_open_loop_stays_with_whom_it_began_at_also_without_reasoning():
    scene = Scene(takes_reasoning=False)
    scene.second.scripts.append([[ToolCallDelta(index=0, id="c0", name="f"), Stopped(FinishReason.TOOL_CALLS)]])
    scene.first[0].scripts.append([AttemptFailed(FailureKind.MALFORMED, "no")])
    await scene.ask(QUESTION)
    bare = Message(role=Role.ASSISTANT, tool_calls=(CALL,))
    await scene.ask(QUESTION, bare, RESULT)
    assert scene.outcomes == ["second answered"]
    # Once the user has spoken, the plan counts again.
    await scene.ask(QUESTION, bare, RESULT, Message(role=Role.ASSISTANT, parts=(Text(text="So."),)), QUESTION)
    assert scene.outcomes == ["first answered"]


async def test_signatures_of_calls_go_to_nobody_else():
    scene = Scene()
    scene.first[0].scripts.append([AttemptFailed(FailureKind.CREDENTIALS, "no")])
    call = ToolCall(id="c0", name="f", arguments_json="{}", extra_json=EXTRA, origin="first/m")
    answer = await scene.ask(QUESTION, signed("first/m", call), RESULT)
    assert scene.outcomes == ["first credentials", "second answered"]
    assert scene.first[0].calls[0].input.messages[1].tool_calls[0].extra_json == EXTRA
    assert scene.second.calls[0].input.messages == (QUESTION, Message(role=Role.ASSISTANT, tool_calls=(CALL,)), RESULT)
    assert answer.started is not None
    assert answer.started.dropped == ("reasoning",)


async def test_a_key_is_kept_to_while_it_is_well():
    scene = Scene("k1", "k2", "k3")
    for _ in range(6):
        await scene.ask(QUESTION, signed("first/m#k3"), RESULT)
    assert [len(each.calls) for each in scene.first] == [0, 0, 6]
    scene.first[2].scripts.append([AttemptFailed(FailureKind.CONNECT, "no")])
    await scene.ask(QUESTION, signed("first/m#k3"), RESULT)
    assert scene.outcomes == ["first connect", "first answered"]
    assert len(scene.first[2].calls) == 7


@pytest.mark.parametrize("condition", [State.SLOW, State.EJECTED])
async def test_a_conversation_stays_with_whoever_is_slow_and_leaves_who_is_out(condition):
    scene = Scene()
    await scene.ask(QUESTION)
    (place,) = [place for name, place in scene.health.places.items() if name.upstream == "first"]
    place.adopt(condition, "a test", 0.0)
    await scene.ask(QUESTION)
    assert scene.outcomes == ["second answered"]
    await scene.ask(QUESTION, signed("first/m"), RESULT)
    assert scene.outcomes == ["first answered" if condition is State.SLOW else "second answered"]
    assert ("passed_over" in scene.steps.recorded[0].attributes) is (condition is State.EJECTED)


async def test_a_refusal_of_reasoning_is_heard_once_and_then_the_next_is_asked():
    scene = Scene()
    scene.first[0].scripts += [[ABOUT_THINKING], [ABOUT_THINKING]]
    await scene.ask(QUESTION, signed(), RESULT)
    assert scene.outcomes == ["first bad_request", "first bad_request", "second answered"]
    told = [call.input.messages[1].parts for call in scene.first[0].calls]
    assert told == [signed().parts, ()]
    # It is not known to be refused: that was not what was wrong.
    assert not scene.kept.has_refused


async def test_a_refusal_where_nothing_was_handed_back_is_a_refusal():
    scene = Scene()
    scene.first[0].scripts.append([ABOUT_THINKING])
    await scene.ask(QUESTION, Message(role=Role.ASSISTANT, tool_calls=(CALL,)), RESULT)
    assert scene.outcomes == ["first bad_request", "second answered"]


async def test_a_refusal_within_an_answer_begins_none_anew():
    scene = Scene()
    scene.plan = Plan(candidates=scene.plan.candidates[:1])
    scene.first[0].scripts.append([[TextDelta(text="Hi")], ABOUT_THINKING])
    with pytest.raises(errors.PenstockError, match="broke off"):
        await scene.ask(QUESTION, signed(), RESULT)
    assert len(scene.first[0].calls) == 1


async def test_who_goes_on_with_a_broken_answer_is_asked_to_once_more_without_the_reasoning_that_it_refuses():
    scene = Scene()
    goes_on = frozenset({Capability.CHAT, Capability.PREFILL})
    models = [Model(each, capabilities=goes_on) for each in scene.plan.candidates]
    scene.parts = replace(scene.parts, catalogue=Catalogue(models))
    scene.first[0].scripts.append([[TextDelta(text="H")], AttemptFailed(FailureKind.CUT, "It ended.")])
    scene.second.scripts += [
        [ABOUT_THINKING],
        [[TextDelta(text="i."), *END]],
    ]
    answer = await scene.ask(QUESTION, signed(), RESULT)
    assert answer.text == "Hi."
    assert [call.is_continued for call in scene.second.calls] == [True, True]
    assert [call.input.messages[1].parts for call in scene.second.calls] == [signed().parts, ()]


async def test_a_whole_answer_that_was_refused_within_holds_nothing_of_it():
    scene = Scene()
    scene.first[0].scripts.append([[TextDelta(text="Hi")], ABOUT_THINKING])
    answer = await scene.ask(QUESTION, signed(), RESULT, whole=True)
    assert answer.text == "Hi."
    assert scene.outcomes == ["first bad_request", "first answered"]


async def test_a_conversation_of_texts_alone_is_nobodys():
    scene = Scene()
    said = Message(role=Role.ASSISTANT, parts=(Text(text="So."),))
    await scene.ask(QUESTION, said, QUESTION)
    assert scene.first[0].calls[0].input.messages == (QUESTION, said, QUESTION)
    assert scene.kept.entries == 0
