"""Rules of a stream: its canonical form, its order, its sum; what it costs."""

import json
import re
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.events import Answer, StreamInvariantError, StreamInvariants, merge_deltas
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    Message,
    Opaque,
    OpaqueDelta,
    Reasoning,
    ReasoningDelta,
    Role,
    Started,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    UnitPrices,
    Usage,
    cost_nano_usd,
)

CANDIDATE = Candidate(upstream="u", model="m")
STARTED = Started(generation_id="g", answered_by=CANDIDATE)
FINISHED = Finished(reason=FinishReason.STOP, answered_by=CANDIDATE)

text = st.text(min_size=1, max_size=5)
text_deltas = st.builds(TextDelta, text=text)
reasoning_deltas = st.builds(ReasoningDelta, text=text) | st.builds(
    ReasoningDelta, text=st.text(max_size=5), signature=st.binary(min_size=1, max_size=3)
)
# Pieces of parts that belong together by type and index, and of those that do not.
extras = st.builds(
    lambda index, said, signature: json.dumps(
        {
            "reasoning_details": [{"type": "t", "index": index, "text": said, **signature}],
            "extra_content": {said: index},
        }
    ),
    st.integers(0, 1),
    st.text(max_size=3),
    st.sampled_from([{}, {"signature": None}, {"signature": "s"}, {"id": "i"}]),
)
reasoning_deltas |= st.builds(ReasoningDelta, text=st.text(max_size=5), extra_json=extras)
tool_call_deltas = (
    st.builds(ToolCallDelta, index=st.integers(0, 2), extra_json=extras)
    | st.builds(ToolCallDelta, index=st.integers(0, 2), arguments_json_fragment=text)
    | st.builds(ToolCallDelta, index=st.integers(0, 2), id=text, name=text, arguments_json_fragment=st.text(max_size=5))
)
deltas = text_deltas | reasoning_deltas | tool_call_deltas
usages = st.builds(Usage, input_tokens=st.integers(0, 100))


@st.composite
def streams(draw):
    usage = draw(st.lists(usages, max_size=1))
    return [STARTED, *draw(st.lists(deltas, max_size=20)), *usage, FINISHED]


def sum_of(events):
    answer = Answer()
    for event in events:
        answer.add(event)
    return answer


def check(events):
    invariants = StreamInvariants()
    for event in events:
        invariants.observe(event)
    invariants.end()


@given(streams())
def test_merging_keeps_the_answer(events):
    before, after = sum_of(events), sum_of(merge_deltas(events))
    assert (after.text, after.reasoning, after.tool_calls) == (before.text, before.reasoning, before.tool_calls)
    assert after.message() == before.message()
    assert (after.started, after.usage, after.finished) == (before.started, before.usage, before.finished)


@given(streams())
def test_merging_twice_is_merging_once(events):
    once = merge_deltas(events)
    assert merge_deltas(once) == once


@given(streams())
def test_merging_keeps_the_order_of_kinds_and_joins_all_neighbours(events):
    merged = merge_deltas(events)
    kinds = [type(event) for event in events]
    assert [kind for index, kind in enumerate(kinds) if index == 0 or kind != kinds[index - 1]] == [
        type(event) for index, event in enumerate(merged) if index == 0 or type(event) is not type(merged[index - 1])
    ]
    for first, second in zip(merged, merged[1:], strict=False):
        assert not (isinstance(first, TextDelta) and isinstance(second, TextDelta))
    check(merged)


@given(streams(), st.integers(0, 21))
def test_merging_batches_of_a_stream_and_then_the_whole_is_merging_the_whole(events, cut):
    assert merge_deltas([*merge_deltas(events[:cut]), *merge_deltas(events[cut:])]) == merge_deltas(events)


def test_a_new_tool_call_is_not_joined_to_the_one_before():
    first = ToolCallDelta(index=0, id="a", name="f", arguments_json_fragment="{")
    more = ToolCallDelta(index=0, arguments_json_fragment="}")
    second = ToolCallDelta(index=1, id="b", name="f", arguments_json_fragment="{}")
    joined = ToolCallDelta(index=0, id="a", name="f", arguments_json_fragment="{}")
    assert merge_deltas([first, more, second]) == [joined, second]


def test_reasoning_after_a_signature_is_a_block_of_its_own():
    signed = ReasoningDelta(text="a", signature=b"s")
    assert merge_deltas([signed, ReasoningDelta(text="b")]) == [signed, ReasoningDelta(text="b")]
    assert merge_deltas([ReasoningDelta(text="b"), signed]) == [ReasoningDelta(text="ba", signature=b"s")]


@given(streams())
def test_a_stream_in_order_is_accepted(events):
    check(events)


LETTERS = {
    "s": STARTED,
    "t": TextDelta(text="x"),
    "r": ReasoningDelta(signature=b"x"),
    "c": ToolCallDelta(index=0, id="x"),
    "e": TextDelta(text=""),
    "m": ReasoningDelta(),
    "n": ToolCallDelta(index=3),
    "u": Usage(),
    "f": FINISHED,
}
GRAMMAR = re.compile(r"s[trc]*u?f")


@given(st.text("strceumnf", max_size=8) | st.from_regex(r"s[trc]{0,4}u?f[strcuf]?", fullmatch=True))
def test_exactly_the_contracts_order_is_accepted(letters):
    try:
        check(LETTERS[letter] for letter in letters)
        accepted = True
    except StreamInvariantError:
        accepted = False
    assert accepted == bool(GRAMMAR.fullmatch(letters))


@given(streams(), st.data())
def test_a_stream_with_one_event_lost_doubled_or_moved_is_accepted_only_where_the_order_allows(events, data):
    index = data.draw(st.integers(0, len(events) - 1))
    kind = data.draw(st.sampled_from(["lose", "double", "move"]))
    changed = list(events)
    event = changed.pop(index)
    if kind == "double":
        changed[index:index] = [event, event]
    elif kind == "move":
        changed.insert(data.draw(st.integers(0, len(changed))), event)
    letter = {Started: "s", Usage: "u", Finished: "f"}
    allowed = bool(GRAMMAR.fullmatch("".join(letter.get(type(event), "t") for event in changed)))
    if allowed:
        check(changed)
    else:
        with pytest.raises(StreamInvariantError):
            check(changed)


def test_the_sum_of_a_stream_is_the_assistants_turn():
    answer = sum_of(
        [
            STARTED,
            ReasoningDelta(text="Hm", signature=b"s"),
            TextDelta(text="Hello, "),
            ToolCallDelta(index=1, id="b", name="g", arguments_json_fragment="{}"),
            ToolCallDelta(index=0, id="a", name="f", arguments_json_fragment='{"x":'),
            ToolCallDelta(index=0, arguments_json_fragment="1}"),
            TextDelta(text="world."),
            Usage(output_tokens=3),
            FINISHED,
        ]
    )
    assert answer.message() == Message(
        role=Role.ASSISTANT,
        parts=(Reasoning(text="Hm", signature=b"s"), Text(text="Hello, "), Text(text="world.")),
        tool_calls=(
            ToolCall(id="a", name="f", arguments_json='{"x":1}', parts_before=2),
            ToolCall(id="b", name="g", arguments_json="{}", parts_before=2),
        ),
    )
    assert answer.message().text == answer.text == "Hello, world."


def test_an_answer_of_tools_alone_has_no_text_part():
    answer = sum_of([STARTED, ToolCallDelta(index=0, id="a", name="f"), FINISHED])
    assert answer.message().parts == ()


tokens = st.integers(0, 10**9)
nano_usd = st.integers(0, 10**15)


@given(tokens, tokens, tokens, nano_usd, nano_usd, nano_usd)
def test_a_cost_is_the_exact_sum_rounded_half_up_once(fresh, cached, output, price, cached_price, output_price):
    usage = Usage(input_tokens=fresh + cached, cached_input_tokens=cached, output_tokens=output)
    prices = UnitPrices(input_nano_usd=price, cached_input_nano_usd=cached_price, output_nano_usd=output_price)
    exact = Fraction(fresh * price + cached * cached_price + output * output_price, 1_000_000)
    cost = cost_nano_usd(usage, prices)
    assert type(cost) is int
    assert cost == floor(exact + Fraction(1, 2))


@given(*[tokens] * 5, *[nano_usd] * 5)
def test_what_is_written_to_a_cache_costs_by_how_long_it_is_kept(  # noqa: PLR0913, PLR0917 - each is drawn by itself
    fresh, cached, written, for_an_hour, output, price, cached_price, write_price, hour_price, output_price
):
    usage = Usage(
        input_tokens=fresh + cached + written + for_an_hour,
        cached_input_tokens=cached,
        cache_write_input_tokens=written + for_an_hour,
        cache_write_1h_input_tokens=for_an_hour,
        output_tokens=output,
    )
    prices = UnitPrices(
        input_nano_usd=price,
        cached_input_nano_usd=cached_price,
        output_nano_usd=output_price,
        cache_write_nano_usd=write_price,
        cache_write_1h_nano_usd=hour_price,
    )
    usual = write_price or price
    total = fresh * price + cached * cached_price + written * usual + for_an_hour * (hour_price or usual)
    exact = Fraction(total + output * output_price, 1_000_000)
    assert cost_nano_usd(usage, prices) == floor(exact + Fraction(1, 2))


@pytest.mark.parametrize(
    ("input_tokens", "cost"), [(0, 0), (1, 0), (499_999, 0), (500_000, 1), (1_000_000, 1), (1_500_000, 2)]
)
def test_half_a_nano_dollar_is_rounded_up(input_tokens, cost):
    assert cost_nano_usd(Usage(input_tokens=input_tokens), UnitPrices(input_nano_usd=1)) == cost


def test_more_cached_tokens_than_there_are_never_cost_less_than_nothing():
    usage = Usage(input_tokens=1, cached_input_tokens=10)
    prices = UnitPrices(input_nano_usd=10**9, cached_input_nano_usd=10**6)
    assert cost_nano_usd(usage, prices) == 10


def test_the_turn_has_its_parts_in_the_order_in_which_they_came():
    search = Opaque(format="anthropic", json='{"type":"server_tool_use"}')
    answer = sum_of(
        [
            ReasoningDelta(text="First "),
            ReasoningDelta(text="this."),
            ReasoningDelta(signature=b"s1", origin="a/b"),
            ReasoningDelta(hidden=b"h", origin="a/b"),
            ToolCallDelta(index=0, id="a", name="f", arguments_json_fragment="{}"),
            ReasoningDelta(text="Then that."),
            TextDelta(text="It is "),
            TextDelta(text="so.", citations_json="[1]"),
            TextDelta(text="And more."),
            OpaqueDelta(block=search),
            ToolCallDelta(index=1, id="b", name="g", arguments_json_fragment="{}"),
        ]
    )
    assert answer.message() == Message(
        role=Role.ASSISTANT,
        parts=(
            Reasoning(text="First this.", signature=b"s1", origin="a/b"),
            Reasoning(hidden=b"h", origin="a/b"),
            Reasoning(text="Then that."),
            Text(text="It is so.", citations_json="[1]"),
            Text(text="And more."),
            search,
        ),
        tool_calls=(
            ToolCall(id="a", name="f", arguments_json="{}", parts_before=2),
            ToolCall(id="b", name="g", arguments_json="{}"),
        ),
    )


def test_neighbours_are_not_merged_across_the_end_of_a_block():
    events = [
        ReasoningDelta(text="a", signature=b"s"),
        ReasoningDelta(text="b"),
        ReasoningDelta(hidden=b"h"),
        ReasoningDelta(text="c"),
        TextDelta(text="d", citations_json="[1]"),
        TextDelta(text="e"),
        TextDelta(text="f", is_refusal=True),
    ]
    assert merge_deltas(events) == events
