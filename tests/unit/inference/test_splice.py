"""Two attempts joined: whatever the first sent, and however the second is split, the whole comes once or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    ChoiceFinished,
    ContentEvent,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.splice import Continued, Regenerated, Splice

TEXTS = st.text(st.sampled_from("ab é日\n👋"), max_size=30)


def answer_of(*events: ContentEvent) -> Answer:
    """Return what a caller has who was sent these."""
    answer = Answer()
    answer.extend(events)
    return answer


def pieces(text: str, cuts: Sequence[int]) -> list[TextDelta]:
    """Return the text in deltas, cut at these offsets."""
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(text)}), len(text)]
    return [TextDelta(text=text[at:to]) for at, to in zip(edges, edges[1:], strict=False) if text[at:to]]


def joined(splice: Splice, events: Sequence[ContentEvent]) -> Answer:
    """Return what a splice gives of these, read one by one."""
    answer = Answer()
    for event in events:
        answer.extend(splice.take([event]))
    answer.extend(splice.end())
    return answer


@given(TEXTS, st.integers(0, 30), st.lists(st.integers(0, 30)))
def test_the_same_text_again_gives_what_was_missing(text: str, cut: int, cuts: list[int]) -> None:
    sent = text[:cut]
    new = joined(Regenerated(answer_of(*pieces(sent, []))), pieces(text, cuts))
    assert sent + new.text == text


@given(TEXTS.filter(bool), TEXTS, st.lists(st.integers(0, 30)))
def test_another_text_is_refused_and_nothing_of_it_is_given(sent: str, other: str, cuts: list[int]) -> None:
    splice, given_events = Regenerated(answer_of(TextDelta(text=sent))), []
    if other.startswith(sent):
        return
    with pytest.raises(AttemptFailed) as refused:
        for event in pieces(other, cuts):
            given_events += splice.take([event])
        splice.end()
    assert refused.value.kind is FailureKind.DIVERGED
    assert given_events == []


@given(TEXTS, st.integers(0, 30), st.lists(st.integers(0, 30)))
def test_a_continuation_is_given_as_it_is(text: str, cut: int, cuts: list[int]) -> None:
    sent, rest = text[:cut], text[cut:]
    if rest.startswith(sent):
        # It may as well be the answer once more.
        return
    assert sent + joined(Continued(sent, sent), pieces(rest, cuts)).text == text


@given(
    st.sampled_from(["a ", "a\n\n", "b \t"]), st.integers(0, 3), TEXTS.filter(lambda text: text[:1].strip()), st.data()
)
def test_spaces_that_no_provider_takes_come_once(sent: str, repeated: int, rest: str, data: st.DataObject) -> None:
    prefix = sent.rstrip()
    spaces = sent[len(prefix) :][:repeated]
    cuts = data.draw(st.lists(st.integers(0, 30)))
    if (spaces + rest).startswith(sent):
        return
    assert joined(Continued(sent, prefix), pieces(spaces + rest, cuts)).text == rest


@given(st.lists(st.integers(0, 40)))
def test_what_may_be_the_answer_once_more_is_refused_and_nothing_of_it_is_given(cuts: list[int]) -> None:
    whole = "The quick brown fox jumps."
    splice, told = Continued(whole[:10], whole[:10].rstrip()), []
    with pytest.raises(AttemptFailed) as refused:
        for event in pieces(whole, cuts):
            told += splice.take([event])
    assert refused.value.kind is FailureKind.DIVERGED
    assert told == []


def test_a_continuation_that_ends_as_the_answer_began_is_given() -> None:
    assert joined(Continued("ha, ho", "ha, ho"), [TextDelta(text="ha")]).text == "ha"


CALLS = (
    ToolCallDelta(index=0, id="call_a", name="look", arguments_json_fragment='{"q":'),
    ToolCallDelta(index=0, arguments_json_fragment="1}"),
    ToolCallDelta(index=1, id="call_b", name="find"),
    ToolCallDelta(index=1, arguments_json_fragment='{"at":2}'),
)
AGAIN = (
    TextDelta(text="Wait"),
    ToolCallDelta(index=0, id="call_x", name="look", arguments_json_fragment='{"q":1}'),
    ToolCallDelta(index=1, id="call_y", name="find", arguments_json_fragment='{"at"'),
    ToolCallDelta(index=1, arguments_json_fragment=":2}"),
)


@pytest.mark.parametrize("count", range(len(CALLS) + 1))
def test_calls_half_sent_are_completed_by_the_same_calls_under_the_ids_that_were_sent(count: int) -> None:
    sent = answer_of(TextDelta(text="Wait"), *CALLS[:count])
    new: list[ContentEvent] = []
    splice = Regenerated(sent)
    for event in AGAIN:
        new += splice.take([event])
    new += splice.end()
    whole = answer_of(TextDelta(text="Wait"), *CALLS[:count], *new)
    assert whole.text == "Wait"
    assert [(call.name, call.arguments_json) for call in whole.tool_calls] == [
        ("look", '{"q":1}'),
        ("find", '{"at":2}'),
    ]
    ids = [call.id for call in whole.tool_calls]
    assert ids == ["call_a" if count else "call_x", "call_b" if count > 2 else "call_y"]


OTHER_CALLS = {
    "another name": [TextDelta(text="Wait"), ToolCallDelta(index=0, id="x", name="find", arguments_json_fragment='{"q":1}')],
    "other arguments": [TextDelta(text="Wait"), ToolCallDelta(index=0, id="x", name="look", arguments_json_fragment='{"z":1}')],
    "more text before": [TextDelta(text="Wait, "), ToolCallDelta(index=0, id="x", name="look", arguments_json_fragment='{"q":1}')],
    "no call": [TextDelta(text="Wait")],
    "a call too early": [ToolCallDelta(index=0, id="x", name="look", arguments_json_fragment='{"q":1}')],
    "a custom call": [TextDelta(text="Wait"), ToolCallDelta(index=0, id="x", name="look", is_custom=True, arguments_json_fragment='{"q":1}')],
}  # fmt: skip


@pytest.mark.parametrize("other", OTHER_CALLS.values(), ids=OTHER_CALLS)
def test_other_calls_than_those_half_sent_are_refused(other: list[ContentEvent]) -> None:
    splice = Regenerated(answer_of(TextDelta(text="Wait"), CALLS[0]))
    with pytest.raises(AttemptFailed) as refused:
        joined(splice, other)
    assert refused.value.kind is FailureKind.DIVERGED


def test_more_of_a_call_after_which_another_had_begun_is_refused() -> None:
    splice = Regenerated(answer_of(*CALLS[:3]))
    with pytest.raises(AttemptFailed):
        splice.take([ToolCallDelta(index=0, id="x", name="look", arguments_json_fragment='{"q":1}}')])


@pytest.mark.parametrize(
    ("sent", "again", "new"),
    [
        ("", "I think", ""),
        ("I th", "I think", "ink"),
        ("I th", "Well", ""),
        ("I think", "I think", ""),
    ],
    ids=["none sent", "the same", "another", "all of it"],
)
@pytest.mark.parametrize("has_text", [True, False], ids=["text sent", "no text sent"])
def test_new_reasoning_is_told_only_where_it_goes_on_as_it_began(
    sent: str, again: str, new: str, has_text: bool
) -> None:
    before = [ReasoningDelta(text=sent)] if sent else []
    splice = Regenerated(answer_of(*before, *([TextDelta(text="Hel")] if has_text else [])))
    answer = joined(splice, [ReasoningDelta(text=again), TextDelta(text="Hello")])
    if not has_text and not sent:
        new = again
    assert answer.reasoning == ("" if has_text else new)
    assert answer.text == ("lo" if has_text else "Hello")


def test_reasoning_of_a_continuation_is_not_told() -> None:
    answer = joined(Continued("Hello", "Hello"), [ReasoningDelta(text="Hm"), TextDelta(text=", world")])
    assert (answer.reasoning, answer.text) == ("", ", world")


def test_what_was_held_back_comes_before_the_call_that_follows_it() -> None:
    call = ToolCallDelta(index=0, id="call_a", name="look")
    splice = Continued("ha, ho", "ha, ho")
    assert splice.take([TextDelta(text="ha"), call]) == [TextDelta(text="ha"), call]
    assert splice.take([TextDelta(text="ha, ho")]) == [TextDelta(text="ha, ho")]


def test_spaces_in_the_middle_of_a_continuation_are_its_own() -> None:
    splice = Continued("a  ", "a")
    given_events = [event for text in (" ", "b", " ", "c") for event in splice.take([TextDelta(text=text)])]
    assert "".join(event.text for event in given_events if isinstance(event, TextDelta)) == "b c"


def test_another_choice_is_refused() -> None:
    with pytest.raises(AttemptFailed):
        Regenerated(answer_of(TextDelta(text="a"))).take(
            [TextDelta(text="a"), ChoiceFinished(choice=1, reason=FinishReason.STOP)]
        )


def test_a_signature_comes_once_the_reasoning_before_it_has_come() -> None:
    splice = Regenerated(answer_of(ReasoningDelta(text="Hm, well")))
    assert splice.take([ReasoningDelta(text="Hm", signature=b"early")]) == []
    assert splice.take([ReasoningDelta(text=", well", signature=b"s")]) == [ReasoningDelta(text="", signature=b"s")]


NAME_ALONE = ToolCallDelta(index=0, id="call_a", name="look")
TOO_LITTLE = {
    "no call at all": ([NAME_ALONE], []),
    "arguments that end before": ([CALLS[0]], [ToolCallDelta(index=0, id="x", name="look", arguments_json_fragment="{")]),
    "another call instead of the rest": (
        [CALLS[0]],
        [
            ToolCallDelta(index=0, id="x", name="look", arguments_json_fragment="{"),
            ToolCallDelta(index=1, id="y", name="find"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "again"), TOO_LITTLE.values(), ids=TOO_LITTLE)
def test_calls_that_do_not_come_as_far_as_they_were_sent_are_refused_and_nothing_is_given(
    sent: list[ContentEvent], again: list[ContentEvent]
) -> None:
    splice = Regenerated(answer_of(TextDelta(text="Wait"), *sent))
    assert splice.take([TextDelta(text="Wait"), *again]) == []
    with pytest.raises(AttemptFailed) as refused:
        splice.end()
    assert refused.value.kind is FailureKind.DIVERGED


@pytest.mark.parametrize(
    ("sent", "follows", "stops", "new", "met"),
    [
        ("Say ST", "OP it", ("STOP",), "", "STOP"),
        ("Say S", "TOP", ("STOP",), "", "STOP"),
        ("Say ST", "OR it", ("STOP",), "OR it", ""),
        # Held back to the end, and no stop after all.
        ("Say ST", "O", ("STOP",), "O", ""),
        # Whole in what follows: whoever writes it sees it.
        ("Say ", "STOP it", ("STOP",), "STOP it", ""),
        # The one that ends first.
        ("abc", "de", ("bcde", "cd"), "", "cd"),
        ("aaa", "b", ("aab",), "", "aab"),
        ("cab", "ab", ("bab",), "", "bab"),
        ("one\n", "\ntwo", ("\n\n",), "", "\n\n"),
        ("one", "two", ("x",), "two", ""),
        ("one", "two", (), "two", ""),
    ],
)
def test_a_stop_string_across_the_seam_ends_the_answer_there(
    sent: str, follows: str, stops: tuple[str, ...], new: str, met: str
) -> None:
    for cuts in ([], range(1, len(follows))):
        splice = Continued(sent, sent, stops)
        assert joined(splice, pieces(follows, list(cuts))).text == new
        assert splice.met_stop == met


def test_after_a_stop_across_the_seam_nothing_comes() -> None:
    splice = Continued("ST", "ST", ("STOP",))
    call = ToolCallDelta(index=0, id="a", name="look", arguments_json_fragment="{}")
    assert splice.take([TextDelta(text="OP"), TextDelta(text=" on"), call]) == []
    assert splice.take([TextDelta(text="and on")]) == []
    assert splice.end() == []


def test_spaces_that_the_caller_has_already_are_on_its_side_of_the_seam() -> None:
    splice = Continued("one \n", "one", ("\n\n",))
    assert joined(splice, [TextDelta(text=" \n\ntwo")]).text == ""
    assert splice.met_stop == "\n\n"


@pytest.mark.parametrize(("sent", "again"), [("NFC", "NFD"), ("NFD", "NFC")])
@given(
    st.text(st.sampled_from("aé日 ü"), min_size=1, max_size=20),
    st.text("ab é", max_size=5),
    st.lists(st.integers(0, 30)),
)
def test_the_answer_once_more_is_found_out_in_whichever_form_of_unicode(
    sent: Literal["NFC", "NFD"], again: Literal["NFC", "NFD"], text: str, rest: str, cuts: list[int]
) -> None:
    splice, told = Continued(normalize(sent, text), normalize(sent, text)), list[ContentEvent]()
    with pytest.raises(AttemptFailed) as refused:
        for event in pieces(normalize(again, text) + rest, cuts):
            told += splice.take([event])
    assert refused.value.kind is FailureKind.DIVERGED
    assert told == []
