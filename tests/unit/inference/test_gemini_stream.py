"""What Gemini answers, streamed in every cut and whole, and what of it is an answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    ChoiceFinished,
    FinishReason,
    GenerationInput,
    Message,
    Opaque,
    OpaqueDelta,
    Reasoning,
    ReasoningDelta,
    Role,
    SamplingParams,
    StopDetails,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from penstock_inference.adapters.providers.gemini.call_ids import CallIds
from penstock_inference.adapters.providers.gemini.contents import Conversation
from penstock_inference.adapters.providers.gemini.signatures import extra_of_call
from penstock_inference.adapters.providers.gemini.stream import ContentStream, whole_answer
from penstock_inference.adapters.providers.http.large_data import LargeData
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped

QUESTION = GenerationInput(model="m", messages=(Message(role=Role.USER, parts=(Text(text="Hi?"),)),))
TWO = GenerationInput(model="m", messages=(), sampling=SamplingParams(choices=2))
TOKENS = {"promptTokenCount": 7, "totalTokenCount": 9}


def candidate(*parts, **more):
    return {"content": {"role": "model", "parts": parts}, "index": 0, **more}


def chunk(*parts, **more):
    """Return one response, of one candidate; the members that are usage's stand there."""
    usage = {name: more.pop(name) for name in [*more] if name.endswith(("Count", "trafficType", "serviceTier"))}
    return {
        "candidates": [candidate(*parts, **more)],
        "usageMetadata": {**TOKENS, **usage},
        "modelVersion": "m",
        "responseId": "r",
    }


def sse(*chunks, end="\r\n\r\n"):
    return b"".join(b"data: " + json.dumps(one, ensure_ascii=False).encode() + end.encode() for one in chunks)


def text(said, **more):
    return {"text": said, **more}


def calling(name="f", **more):
    return {"functionCall": {"name": name, "args": {}, **more}}


def read(stream, pieces):
    events = []
    for piece in pieces:
        events += stream.feed(piece)
    return [*events, *stream.end()]


def told(events):
    """Return the events as few, usage and end last, as whoever reads an answer has them."""
    answer, last = Answer(), {}
    for event in events:
        if isinstance(event, Usage | Stopped):
            last[type(event)] = event
        else:
            answer.add(event)
    more = [(one.parts, one.tool_calls, one.logprobs_json, one.reason) for one in answer.more]
    return answer.parts, answer.tool_calls, answer.logprobs_json, more, last.get(Usage), last.get(Stopped)


def streamed(*chunks, asked=QUESTION):
    return told(read(ContentStream(asked), [sse(*chunks)]))


def failure(*chunks):
    with pytest.raises(AttemptFailed) as failed:
        streamed(*chunks)
    return failed.value


REASONED = (
    chunk(text("Let me ", thought=True)),
    chunk(text("see 日.", thought=True), text("", thought=True, thoughtSignature="c2ln+/8="), thoughtsTokenCount=4),
    chunk(text("It is ")),
    chunk(text("cold 😀."), cachedContentTokenCount=3),
    chunk({"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "eA=="}),
    chunk({"codeExecutionResult": {"outcome": "OUTCOME_OK"}}),
    chunk(text("Then:", thoughtSignature="dA==")),
    chunk({**calling(args={"city": "Oslo"}), "thoughtSignature": "Zg=="}, calling("g", id="own")),
    chunk(text("", thoughtSignature="bGFzdA=="), finishReason="STOP", candidatesTokenCount=5, thoughtsTokenCount=4,
          toolUsePromptTokenCount=2, cachedContentTokenCount=3, trafficType="ON_DEMAND_PRIORITY"),
)  # fmt: skip
REASONED_TOLD = (
    (
        Reasoning(text="Let me see 日.", signature=b"c2ln+/8="),
        Text(text="It is cold 😀."),
        Opaque(
            format="gemini",
            json='{"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "eA=="}',
        ),
        Opaque(format="gemini", json='{"codeExecutionResult": {"outcome": "OUTCOME_OK"}}'),
        Text(text="Then:"),
        Reasoning(signature=b"dA=="),
        Reasoning(hidden=b"bGFzdA=="),
    ),
    (
        ToolCall(id="call_0_dbde7181a84e", name="f", arguments_json='{"city": "Oslo"}', extra_json=extra_of_call("Zg=="), parts_before=6),
        ToolCall(id="own", name="g", arguments_json="{}", parts_before=6),
    ),
    "",
    [],
    Usage(input_tokens=9, output_tokens=9, cached_input_tokens=3, reasoning_tokens=4),
    Stopped(FinishReason.TOOL_CALLS, service_tier="priority"),
)  # fmt: skip


def pieces_of(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("end", ["\r\n\r\n", "\n\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
def test_however_it_is_cut_it_is_the_same_answer(size, end):
    assert told(read(ContentStream(QUESTION), pieces_of(sse(*REASONED, end=end), size))) == REASONED_TOLD


@given(st.lists(st.integers(0, 2000), max_size=12))
def test_wherever_it_is_cut_it_is_the_same_answer(places):
    data = sse(*REASONED)
    cuts = [0, *sorted(place % len(data) for place in places), len(data)]
    pieces = [data[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]
    assert told(read(ContentStream(QUESTION), pieces)) == REASONED_TOLD


def test_an_array_in_the_place_of_a_stream_is_the_same_answer():
    body = json.dumps(REASONED, ensure_ascii=False, indent=None).encode()
    assert told(whole_answer(body, QUESTION)) == REASONED_TOLD


def test_events_come_as_few_as_they_can():
    assert ContentStream(QUESTION).feed(sse(chunk(text("a")), chunk(text("b"), finishReason="MAX_TOKENS"))) == [
        TextDelta(text="ab"),
        Usage(input_tokens=7),
        Usage(input_tokens=7),
        Stopped(FinishReason.LENGTH),
    ]


def test_what_came_goes_back_as_it_came():
    parts, calls, *_ = streamed(*REASONED)
    turn = Message(role=Role.ASSISTANT, parts=parts, tool_calls=calls)
    (content,) = Conversation([turn], LargeData(), any_url=False).contents()
    sent = [one for response in REASONED for one in response["candidates"][0]["content"]["parts"]]
    merged = [
        text("Let me see 日.", thought=True, thoughtSignature="c2ln+/8="), text("It is cold 😀."), *sent[5:8],
        {**calling(args={"city": "Oslo"}, id="call_0_dbde7181a84e"), "thoughtSignature": "Zg=="}, *sent[9:],
    ]  # fmt: skip
    assert json.loads(json.dumps(content["parts"], default=lambda raw: json.loads(bytes(raw)))) == merged


def test_a_whole_answer_is_one_response():
    body = json.dumps(
        chunk(text("Hm.", thought=True), text("Hi", thoughtSignature="s"), finishReason="STOP", candidatesTokenCount=2)
    ).encode()
    assert whole_answer(body, QUESTION) == [
        ReasoningDelta(text="Hm."),
        TextDelta(text="Hi"),
        ReasoningDelta(signature=b"s"),
        Usage(input_tokens=7, output_tokens=2),
        Stopped(FinishReason.STOP),
    ]


# Calls.


def test_ids_are_by_their_place_in_the_conversation_and_nobody_else_s():
    earlier = (
        Message(role=Role.ASSISTANT, tool_calls=(ToolCall(id="call_0", name="f", arguments_json="{}"),
                                                 ToolCall(id="call_3", name="f", arguments_json="{}"),
                                                 ToolCall(id="call_4", name="f", arguments_json="{}"))),
    )  # fmt: skip
    for _ in range(2):
        ids = CallIds(earlier)
        assert [ids.of(given, "") for given in ("", "x", "", "x", "")] == ["call_5", "x", "call_6", "call_7", "call_8"]


def test_ids_that_are_taken_are_passed_over():
    earlier = [Message(role=Role.ASSISTANT, tool_calls=(ToolCall(id=identity, name="f", arguments_json="{}"),))
               for identity in ("call_3", "call_4", "a")]  # fmt: skip
    assert CallIds(earlier).of("", "") == "call_5"


def test_two_answers_that_are_signed_in_two_ways_have_ids_of_their_own():
    def ids_of(signature):
        ids = CallIds(())
        return [ids.of("", signature), ids.of("", "")]

    assert ids_of("a") == ids_of("a")
    assert len({*ids_of("a"), *ids_of("b"), *ids_of("")}) == 6


def test_a_call_without_arguments_has_none():
    assert streamed(chunk({"functionCall": {"name": "f"}}, finishReason="STOP"))[1] == (
        ToolCall(id="call_0", name="f", arguments_json="{}"),
    )


def test_arguments_stand_as_they_came():
    raw = (
        b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"args": {"b":1.50, "a" : 2},"name":"f"}}]}}]}\n\n'
    )
    assert ContentStream(QUESTION).feed(raw) == [
        ToolCallDelta(index=0, id="call_0", name="f", arguments_json_fragment='{"b":1.50, "a" : 2}')
    ]


@pytest.mark.parametrize(
    "call", [{"args": {}}, {"name": "f", "partialArgs": [{"jsonPath": "$.a"}], "willContinue": True}]
)
def test_a_call_that_is_not_whole_is_none(call):
    assert failure(chunk({"functionCall": call})).kind is FailureKind.MALFORMED


# Ends.


@pytest.mark.parametrize("word", ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "OTHER",
                                  "IMAGE_SAFETY", "MODEL_ARMOR"])  # fmt: skip
def test_a_filter_is_told_with_its_word_and_what_it_was_about(word):
    ratings = [{"category": "HARM_CATEGORY_HARASSMENT"}, {"category": "HARM_CATEGORY_HATE_SPEECH", "blocked": True}]
    *_, stopped = streamed(chunk(text("a")), chunk(finishReason=word, finishMessage="No.", safetyRatings=ratings))
    details = StopDetails(word=word, category="HARM_CATEGORY_HATE_SPEECH", explanation="No.")
    assert stopped == Stopped(FinishReason.CONTENT_FILTER, details=details)


@pytest.mark.parametrize("word", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
                                  "MALFORMED_RESPONSE"])  # fmt: skip
def test_a_call_that_the_model_got_wrong_is_a_failure(word):
    broken = failure(chunk(text("a")), chunk(finishReason=word, finishMessage="Malformed: print(f(1))"))
    assert broken.kind is FailureKind.MALFORMED
    assert broken.detail.endswith(f"{word}: Malformed: print(f(1))")


def test_an_unknown_word_is_an_end_and_is_told():
    assert streamed(chunk(text("a"), finishReason="NEW_ONE"))[-1] == Stopped(
        FinishReason.STOP, details=StopDetails(word="NEW_ONE")
    )


@pytest.mark.parametrize("word", [None, "", "FINISH_REASON_UNSPECIFIED"])
def test_without_a_reason_it_has_not_ended(word):
    assert streamed(chunk(text("a"), finishReason=word))[-1] is None


def test_an_end_with_calls_that_is_no_stop_is_what_it_says():
    assert streamed(chunk(calling(), finishReason="MAX_TOKENS"))[-1] == Stopped(FinishReason.LENGTH)


def test_an_end_comes_once():
    end = chunk(finishReason="STOP", groundingMetadata={"a": 1})
    events = read(ContentStream(QUESTION), [sse(chunk(text("a")), end), sse(end)])
    assert sum(isinstance(event, Stopped) for event in events) == 1
    assert told(events)[0] == (Text(text="a", citations_json='[{"a": 1}]'),)


def test_the_tier_is_the_last_that_was_said():
    *_, stopped = streamed(chunk(text("a"), trafficType="ON_DEMAND_FLEX"), chunk(finishReason="STOP"))
    assert stopped.service_tier == "flex"


def test_usage_after_the_end_counts():
    assert streamed(chunk(text("a"), finishReason="STOP"), {"usageMetadata": {"promptTokenCount": 8}})[4] == Usage(
        input_tokens=8
    )


@pytest.mark.parametrize(
    "usage", [{"promptTokenCount": "8"}, {"candidatesTokenCount": 1.5}, {"thoughtsTokenCount": {}}, []]
)
def test_usage_that_cannot_be_read_takes_nothing_from_the_answer(usage):
    *_, counted, stopped = streamed(chunk(text("a"), finishReason="STOP"), {"usageMetadata": usage})
    assert (counted.input_tokens, stopped.reason) == (TOKENS["promptTokenCount"], FinishReason.STOP)


BLOCKED = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "Not this.",
                              "safetyRatings": [{"category": "HARM_CATEGORY_X", "blocked": True}]}}  # fmt: skip


def test_a_prompt_that_is_blocked_is_refused_with_its_words():
    said = "the upstream blocked the prompt: PROHIBITED_CONTENT (HARM_CATEGORY_X): Not this."
    refused = failure({**BLOCKED, "usageMetadata": TOKENS})
    assert (refused.kind, refused.detail) == (FailureKind.REFUSED, said)
    with pytest.raises(AttemptFailed, match="blocked the prompt"):
        whole_answer(json.dumps(BLOCKED).encode(), QUESTION)


def test_a_block_within_an_answer_ends_it():
    *_, stopped = streamed(chunk(text("a")), BLOCKED)
    assert stopped.reason is FinishReason.CONTENT_FILTER
    assert stopped.details.word == "PROHIBITED_CONTENT"


# Several answers, probabilities, and what a search found.


def test_the_first_of_several_answers_ends_when_all_have():
    pieces = (
        {"candidates": [candidate(text("a")), candidate(calling(), index=1)]},
        {"candidates": [candidate(finishReason="STOP")]},
        {"candidates": [candidate(text("c"), index=1, finishReason="STOP")]},
    )
    stream = ContentStream(TWO)
    assert not any(isinstance(event, Stopped) for event in stream.feed(sse(*pieces[:2])))
    events = stream.feed(sse(pieces[2]))
    assert events[-2:] == [ChoiceFinished(choice=1, reason=FinishReason.TOOL_CALLS), Stopped(FinishReason.STOP)]
    assert told(read(ContentStream(TWO), [sse(*pieces)]))[3][0][0] == (Text(text="c"),)


@pytest.mark.parametrize("index", [1, -1])
def test_an_answer_that_nobody_asked_for_is_none(index):
    assert failure({"candidates": [candidate(text("a"), index=index)]}).kind is FailureKind.MALFORMED


def test_probabilities_are_told_in_the_contract_s_form():
    result = {
        "chosenCandidates": [{"token": "日", "tokenId": 3, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -1.0}]}],
    }
    assert json.loads(streamed(chunk(text("日"), logprobsResult=result, finishReason="STOP"))[2]) == [
        {"token": "日", "logprob": -0.5, "bytes": [230, 151, 165],
         "top_logprobs": [{"token": "a", "logprob": -1.0, "bytes": [97]}]}
    ]  # fmt: skip


def test_what_a_search_found_is_what_the_text_refers_to():
    found = {"groundingChunks": [{"web": {"uri": "https://a"}}]}
    (said,), *_ = streamed(
        chunk(text("a"), groundingMetadata={}), chunk(text("b"), groundingMetadata=found, finishReason="STOP")
    )
    assert said == Text(text="ab", citations_json=f"[{json.dumps(found)}]")


def test_an_image_that_it_made_is_a_block_of_its_own():
    part = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    assert ContentStream(QUESTION).feed(sse(chunk(part)))[0] == OpaqueDelta(
        block=Opaque(format="gemini", json=json.dumps(part))
    )


# What is no answer.


@pytest.mark.parametrize("payload", ["{oops", "[]", "7", '{"candidates": 7}', '{"candidates":[{"content":{"parts":[7]}}]}',
                                     '{"candidates":[{"content":{"parts":[{"text":7}]}}]}'])  # fmt: skip
def test_what_cannot_be_read_is_no_part_of_an_answer(payload):
    with pytest.raises(AttemptFailed) as failed:
        ContentStream(QUESTION).feed(b"data: " + payload.encode() + b"\n\n")
    assert failed.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"<html>", b'{"candidates":[]}', b'{"candidates":[{"content":7}]}',
                                  b"\xff{}"])  # fmt: skip
def test_what_is_no_response_is_no_answer(body):
    with pytest.raises(AttemptFailed) as failed:
        whole_answer(body, QUESTION)
    assert failed.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize("between", [b": ping\n\n", b"data:\n\n", b"data: null\n\n", b"data: [DONE]\n\n", b"id: 4\n\n"])
def test_what_says_nothing_is_passed_over(between):
    data = between + sse(chunk(text("a"))) + between + sse(chunk(finishReason="STOP")) + between
    assert told(read(ContentStream(QUESTION), [data]))[0] == (Text(text="a"),)


def test_an_empty_part_is_nothing():
    assert streamed(chunk(text("")), chunk(text("", thought=True)), chunk(finishReason="STOP"))[0] == ()


def test_too_much_of_one_event_is_refused():
    with pytest.raises(AttemptFailed) as failed:
        ContentStream(QUESTION).feed(b"data: " + b"x" * (2 << 20))
    assert failed.value.kind is FailureKind.OVERSIZE
