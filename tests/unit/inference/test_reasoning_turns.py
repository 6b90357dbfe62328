"""What is done to an assistant's turns: what was kept is put back where it stood, and what nobody reads is taken out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.types import Candidate, Message, Opaque, Reasoning, Role, Text, Tool, ToolCall
from penstock_inference.adapters.providers.carried import blocks_of
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.model_facts import ModelFacts, ThinkingBound
from penstock_inference.domain.reasoning.origin import Origin, is_bound, origin_text
from penstock_inference.domain.reasoning.turns import Prefix, kept_turn, lacks_reasoning, restored, without

ORIGIN = "a/opus"
SIGNED = Reasoning(text="Hm.", signature=b"s", origin=ORIGIN)
SEARCH = Opaque(format="anthropic", json='{"type":"server_tool_use"}')
EXTRA = '{"extra_content":{"google":{"thought_signature":"Cg=="}}}'


def model(name: str = "opus", upstream: str = "a", **facts: object) -> Model:
    return Model(Candidate(upstream=upstream, model=name), facts=ModelFacts(**facts))  # pyright: ignore[reportArgumentType] - facts


def call(number: int, **more: object) -> ToolCall:
    return ToolCall(id=f"c{number}", name="f", arguments_json="{}", **more)  # pyright: ignore[reportArgumentType] - a call's fields


def turn(*parts: object, calls: tuple[ToolCall, ...] = ()) -> Message:
    return Message(role=Role.ASSISTANT, parts=parts, tool_calls=calls)  # pyright: ignore[reportArgumentType] - parts


def bare(message: Message) -> Message:
    """Return a turn as a caller hands it back who knows texts and calls alone."""
    text = message.text
    calls = tuple(
        ToolCall(id=each.id, name=each.name, arguments_json=each.arguments_json) for each in message.tool_calls
    )
    return turn(*((Text(text=text),) if text else ()), calls=calls)


parts = st.one_of(
    st.builds(Text, text=st.text(min_size=1, max_size=3)),
    st.builds(Reasoning, text=st.text(max_size=3), signature=st.binary(min_size=1, max_size=3), origin=st.just(ORIGIN)),
    st.builds(Reasoning, hidden=st.binary(min_size=1, max_size=3), origin=st.just(ORIGIN)),
    st.just(SEARCH),
)


@st.composite
def answers(draw: st.DrawFn) -> Message:
    told = (SIGNED, *draw(st.lists(parts, max_size=4)))
    places = draw(st.lists(st.none() | st.integers(0, len(told) - 1), min_size=1, max_size=3))
    calls = tuple(call(number, parts_before=place) for number, place in enumerate(places))
    return turn(*told, calls=calls)


@given(answers())
def test_what_was_kept_is_put_back_block_for_block(answer: Message) -> None:
    assert restored(bare(answer), kept_turn(answer, ORIGIN, b"")) == answer


def test_a_text_that_was_altered_stands_after_the_reasoning() -> None:
    answer = turn(SIGNED, Text(text="Let me see."), SEARCH, calls=(call(0, parts_before=1),))
    handed_back = turn(Text(text="Let me"), calls=(call(0),))
    assert restored(handed_back, kept_turn(answer, ORIGIN, b"")) == turn(
        SIGNED, SEARCH, Text(text="Let me"), calls=(call(0),)
    )


def test_reasoning_that_came_back_without_its_signature_is_not_there_twice() -> None:
    answer = turn(SIGNED, Text(text="So."), calls=(call(0),))
    assert (
        restored(turn(Reasoning(text="Hm."), Text(text="So."), calls=(call(0),)), kept_turn(answer, "", b"")) == answer
    )


def test_a_signature_of_a_call_is_put_back_with_whose_it_is() -> None:
    answer = turn(calls=(call(0, extra_json=EXTRA, origin="g/flash"), call(1)))
    back = restored(bare(answer), kept_turn(answer, "g/flash", b""))
    assert [(each.extra_json, each.origin) for each in back.tool_calls] == [(EXTRA, "g/flash"), ("", "")]


def test_an_answer_without_reasoning_keeps_nothing_but_whose_it_was() -> None:
    answer = turn(Reasoning(text="Plain."), Text(text="So."), calls=(call(0),))
    kept = kept_turn(answer, ORIGIN, b"")
    assert (kept.origin, kept.has_reasoning) == (ORIGIN, False)


def test_what_is_taken_out_leaves_the_rest_in_its_order() -> None:
    other = Reasoning(hidden=b"h", origin="b/other")
    told = turn(
        SIGNED,
        Text(text="One."),
        other,
        Text(text="Two."),
        calls=(call(0, parts_before=3), call(1), call(2, parts_before=1)),
    )
    left = without(told, lambda part: part.origin == "b/other")
    assert left is not None
    assert list(blocks_of(left, "anthropic")) == [SIGNED, 2, Text(text="One."), 0, Text(text="Two."), 1]
    assert without(told, lambda _: False) is told
    assert without(turn(SIGNED), lambda _: True) is None
    signed = turn(calls=(call(0, extra_json=EXTRA, origin="g/flash"),))
    assert without(signed, lambda _: True) == turn(calls=(call(0),))


def test_a_turn_lacks_reasoning_that_has_calls_and_nothing_of_the_model_alone() -> None:
    assert lacks_reasoning(turn(calls=(call(0),)))
    assert lacks_reasoning(turn(Reasoning(text="Plain."), calls=(call(0),)))
    assert not lacks_reasoning(turn(SIGNED, calls=(call(0),)))
    assert not lacks_reasoning(turn(calls=(call(0, extra_json=EXTRA),)))
    assert not lacks_reasoning(turn(Text(text="So.")))


def test_a_prefix_is_of_all_that_a_vendor_checks_and_of_nothing_else() -> None:
    def digest(*turns: Message, tools: tuple[Tool, ...] = ()) -> bytes:
        prefix = Prefix(tools)
        for each in turns:
            prefix.add(each)
        return prefix.digest

    asked = Message(role=Role.USER, parts=(Text(text="Why?"),))
    same = digest(asked, turn(SIGNED, calls=(call(0),)))
    marked = Message(role=Role.USER, parts=(Text(text="Why?", cache_breakpoint=True, cache_ttl="1h"),))
    assert digest(marked, turn(SIGNED, calls=(call(0, parts_before=1),))) == same
    assert digest(asked, turn(calls=(call(0),))) != same
    assert digest(asked, turn(SIGNED, calls=(call(1),))) != same
    assert digest(Message(role=Role.SYSTEM, parts=(Text(text="Why?"),)), turn(SIGNED, calls=(call(0),))) != same
    assert digest(asked, turn(SIGNED, calls=(call(0),)), tools=(Tool(name="f"),)) != same


def test_an_origin_is_read_as_it_was_written() -> None:
    for candidate, account in (
        (Candidate(upstream="a", model="opus"), ""),
        (Candidate(upstream="a", model="x/opus"), "1f"),
        (Candidate(upstream="a", model="op#us"), ""),
    ):
        origin = Origin.of(origin_text(candidate, account))
        assert origin == Origin(candidate.upstream, candidate.model, account)
        assert origin.is_of(candidate)
    for nothing in ("", "a", "a/", "/opus"):
        assert Origin.of(nothing) is None


def test_who_reads_what() -> None:
    by_account, others = {"thinking_bound": ThinkingBound.ACCOUNT}, {"reads_thinking_of": frozenset({"opus"})}
    own = Origin("a", "opus", "k1")
    assert own.is_read_by(model(), "k2")
    assert own.is_read_by(model(**by_account), "k1")
    assert not own.is_read_by(model(**by_account), "k2")
    assert not own.is_read_by(model("sonnet"), "k1")
    assert own.is_read_by(model("sonnet", **others), "k1")
    assert not own.is_read_by(model("sonnet", **others, **by_account), "k2")
    # The same name at another upstream may be anything; a datasheet that says so is believed.
    assert not own.is_read_by(model(upstream="b"), "")
    assert own.is_read_by(model("next", "b", **others), "")
    assert not own.is_read_by(model("next", "b", **others, **by_account), "")


def test_what_is_bound() -> None:
    assert not is_bound(Reasoning(text="Plain."))
    assert all(
        map(is_bound, (SIGNED, Reasoning(hidden=b"h"), Reasoning(text="", extra_json="{}"), call(0, extra_json=EXTRA)))
    )
    assert not is_bound(call(0))
