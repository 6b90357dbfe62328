"""What servers of OpenAI's format really send, over real sockets: each dialect, streamed and whole, gives its answer."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock_common.http.client import HttpClient
from penstock_common.llm.types import Candidate, Finished, FinishReason, Plan
from penstock_common.telemetry.steps import Steps
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import Answer, Body, End, Failure
from penstock_inference.adapters.providers.openai.client import OpenAIUpstream as OpenAIUpstreamAdapter
from penstock_inference.adapters.providers.openai.dialect import DIALECTS as SERVERS
from penstock_inference.domain.batches import Batches
from penstock_inference.domain.catalogue import Catalogue, Model, Timeouts
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.generation import Generation, GenerationParts
from penstock_inference.domain.pool import Pool

sys.path.insert(0, str(Path(__file__).parent))

from dialect_rows import DIALECTS, DONE, END, ERRORS, HI, WEATHER, Dialect, chunk, raw, sse  # noqa: E402

ELSEWHERE = "Hello, world."
COUNTED = sse({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}})
USUAL = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}


def whole(choice: object = USUAL, **more: Any) -> bytes:
    """Return a whole answer of one choice."""
    return json.dumps({"object": "chat.completion", "choices": [choice], **more}).encode()


def message(**fields: Any) -> bytes:
    """Return a whole answer with this message."""
    return whole({"index": 0, "message": fields, "finish_reason": "stop"})


def told_of(outcome: Any) -> tuple[Any, ...]:
    """Return what a caller was told; ids that were made up are empty."""
    answer = outcome.answer
    calls = [("" if len(call.id) == 29 else call.id, call.name, call.arguments_json) for call in answer.tool_calls]
    assert outcome.error is None
    return answer.text, answer.reasoning, calls, answer.finished.reason


@pytest.mark.parametrize("wants_whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
async def test_every_dialect_is_understood(dialect: Dialect, wants_whole: bool, caller, first):
    first.enqueue(Body(frames=dialect.frames))
    outcome = await caller.ask("first/m", whole=wants_whole)
    assert outcome.outcomes == ["first answered"]
    assert told_of(outcome) == (dialect.text, dialect.reasoning, list(dialect.calls), dialect.finish)
    usage = outcome.answer.usage
    if dialect.tokens is not None:
        assert (usage.input_tokens, usage.output_tokens) == dialect.tokens
    assert usage.estimated is (dialect.tokens is None)
    assert usage.output_tokens > 0
    ids = [call.id for call in outcome.answer.tool_calls]
    assert len(set(ids)) == len(ids)
    assert all(ids)


WHOLES: dict[str, tuple[bytes, tuple[Any, ...]]] = {
    "usual": (whole(), ("Hi", "", [])),
    "a BOM": (b"\xef\xbb\xbf" + whole(), ("Hi", "", [])),
    "blanks before": (b"\n \n" + whole(), ("Hi", "", [])),
    "a delta for a message": (whole({"delta": {"content": "Hi"}, "finish_reason": "stop"}), ("Hi", "", [])),
    "parts": (message(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                               {"type": "text", "text": "Hi"}]), ("Hi", "Hm.", [])),
    "reasoning beside": (message(content="Hi", reasoning="Hm."), ("Hi", "Hm.", [])),
    "no number": (whole({"message": {"content": "Hi"}, "finish_reason": "end_turn"}), ("Hi", "", [])),
    "a number as text": (whole({**USUAL, "index": "0", "logprobs": 7}), ("Hi", "", [])),
    "choices as an object": (json.dumps({"choices": USUAL}).encode(), ("Hi", "", [])),
    "side fields": (whole(id=None, created="x", usage="none", system_fingerprint=[], error=None), ("Hi", "", [])),
    "an empty error": (whole(error={}), ("Hi", "", [])),
    "lone halves": (whole().replace(b'"Hi"', rb'"a\ud83d"'), ("a\ufffd", "", [])),
    "function_call": (message(content=None, function_call={"name": "f", "arguments": "{}"}),
                      ("", "", [("", "f", "{}")])),
    "arguments as an object": (message(tool_calls=[{"id": "call_one", "function": {"name": "weather", "arguments": {
        "city": "Oslo"}}}]), ("", "", [WEATHER])),
    "one id twice": (message(tool_calls=[{"id": "a", "function": {"name": "f", "arguments": ""}},
                                         {"id": "a", "function": {"name": "f"}}]),
                     ("", "", [("a", "f", "{}"), ("", "f", "{}")])),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/plain"])
@pytest.mark.parametrize("wants_whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", WHOLES)
async def test_every_whole_answer_is_understood(name: str, wants_whole: bool, kind: str, caller, first):
    body, told = WHOLES[name]
    first.enqueue(Body(frames=[body], content_type=kind))
    outcome = await caller.ask("first/m", whole=wants_whole)
    assert told_of(outcome)[:3] == told


@pytest.mark.parametrize("wants_whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/octet-stream", "application/json", "application/x-ndjson", ""]
)
async def test_a_stream_under_another_type_is_one(kind: str, wants_whole: bool, caller, first):
    # The first bytes come one by one.
    stream = HI + END + DONE
    frames = [*[stream[at : at + 1] for at in range(8)], stream[8:]]
    first.enqueue(Body(frames=frames, content_type=kind))
    assert told_of(await caller.ask("first/m", whole=wants_whole))[0] == "Hi"


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_any_status_of_success_is_one(status: int, caller, first):
    first.enqueue(Body(frames=[HI, END, DONE], status=status))
    assert (await caller.ask("first/m")).answer.text == "Hi"


@pytest.mark.parametrize("wants_whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("shape", ERRORS)
async def test_an_error_in_band_is_one_in_every_shape(shape: str, wants_whole: bool, caller, first, second):
    frame = ERRORS[shape]
    first.enqueue(*[Body(frames=[frame, DONE])] * 2)
    outcome = await caller.ask("first/m", "second/m", whole=wants_whole)
    assert outcome.answer.text == ELSEWHERE
    assert outcome.outcomes[-1] == "second answered"
    assert "first answered" not in outcome.outcomes
    if b"429" in frame:
        assert outcome.outcomes[0] == "first rate_limited"
    # The same within an answer: it is broken, and not shorter.
    first.drop_queue()
    told = asyncio.Event()
    first.enqueue(Body(frames=[HI, frame, END, DONE], hold={1: told}))
    outcome = await caller.ask("first/m", seen=lambda answer: told.set() if answer.text else None)
    assert outcome.error is not None
    assert (outcome.answer.text, outcome.answer.finished) == ("Hi", None)


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("shape", [name for name, frame in ERRORS.items() if frame.startswith(b'data: {"')])
async def test_an_error_in_the_place_of_an_answer_is_one_in_every_shape(shape: str, kind: str, caller, first):
    body = ERRORS[shape].removeprefix(b"data: ").strip()
    first.enqueue(*[Body(frames=[body], content_type=kind)] * 2)
    for wants_whole in (False, True):
        outcome = await caller.ask("first/m", "second/m", whole=wants_whole)
        assert outcome.answer.text == ELSEWHERE


@pytest.mark.parametrize("broken", [raw("{oops"), raw('{"choices":[{"index":0,"delta":{"content":"H'), raw("Hello"),
                                    HI.replace(b"Hi", b"\xc3")])  # fmt: skip
async def test_an_event_that_may_have_held_a_part_of_the_answer_is_never_passed_over(broken: bytes, caller, first):
    first.enqueue(Body(frames=[broken, HI, END, DONE]))
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.outcomes == ["first malformed", "second answered"]


@pytest.mark.parametrize("word", ["error", "network_error", "abort", "insufficient_system_resource",
                                  "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "cancelled"])  # fmt: skip
async def test_a_word_that_says_that_it_broke_is_no_end(word: str, caller, first):
    first.enqueue(*[Body(frames=[chunk({}, finish_reason=word), DONE])] * 2)
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.outcomes == ["first cut", "first cut", "second answered"]


# After the answer's end.


@pytest.fixture
async def patient(serve, first, second):
    """The service with every timer long but the one that waits for the end of a response."""
    timeouts = {"first_token": "300s", "idle": "300s", "total": "600s", "end": "100ms"}
    return await serve(first.settings("first", timeouts=timeouts, whole_answers="stream"), second.settings("second"))


PINGS = b": keep-alive\n\n" + raw("null") + b"event: ping\ndata: {}\n\n"


@pytest.mark.parametrize("wants_whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("rest", [Body(frames=[HI, END], end=End.STALL), Body(frames=[HI, END, PINGS], end=End.REPEAT)],
                         ids=["silence", "pings"])  # fmt: skip
async def test_silence_after_the_end_is_an_end(rest: Body, wants_whole: bool, patient, first):
    first.enqueue(rest)
    outcome = await asyncio.wait_for(patient.ask("first/m", whole=wants_whole), 60)
    assert outcome.outcomes == ["first answered"]
    assert outcome.answer.text == "Hi"
    assert outcome.answer.finished.reason is FinishReason.STOP
    assert outcome.answer.usage.estimated
    # What is left of the response is nobody's.
    await asyncio.wait_for(first.requests[0].left.wait(), 10)


async def test_usage_that_comes_soon_after_the_end_counts(serve, first):
    settings = first.settings("first", timeouts={"end": "60s"})
    usage_may_come = asyncio.Event()
    first.enqueue(Body(frames=[HI, END, PINGS, COUNTED, DONE], hold={3: usage_may_come}))

    def seen(answer: Any) -> None:
        if answer.text == "Hi":
            usage_may_come.set()

    outcome = await (await serve(settings)).ask("first/m", seen=seen)
    assert (outcome.answer.usage.input_tokens, outcome.answer.usage.output_tokens) == (7, 2)
    assert not outcome.answer.usage.estimated


async def test_usage_counts_where_the_end_never_comes(patient, first):
    first.enqueue(Body(frames=[HI, END + COUNTED], end=End.STALL))
    outcome = await asyncio.wait_for(patient.ask("first/m"), 60)
    assert (outcome.answer.usage.output_tokens, outcome.answer.usage.estimated) == (2, False)


@pytest.mark.parametrize("end", [End.RESET, End.FIN])
async def test_a_cut_after_the_end_costs_nothing_but_the_usage(end: End, caller, first, second):
    first.enqueue(Answer(stop_after=6, end=end).body("m"))
    outcome = await caller.ask("first/m", "second/m")
    assert (outcome.outcomes, outcome.answer.text) == (["first answered"], ELSEWHERE)
    assert outcome.answer.usage.estimated


async def test_a_deadline_that_passes_after_the_end_is_met(first):
    # Without a transport, whose own deadline would end the call a moment later.
    first.enqueue(Body(frames=[HI, END], end=End.STALL))
    candidate, steps = Candidate(upstream="first", model="m"), Steps()
    generation = Generation(QUESTION, Plan(candidates=(candidate,)), seconds_left=5)
    model = Model(candidate, timeouts=Timeouts(end=timedelta(seconds=300)))
    async with HttpClient() as client:
        upstream = OpenAIUpstreamAdapter(client, first.base_url, "", SERVERS["vllm"])
        parts = GenerationParts({"first": Pool([Endpoint(upstream)])}, Catalogue([model]))
        batches = [batch async for batch in Batches(generation, parts, steps)]
    assert isinstance(batches[-1][-1], Finished)


# Servers that refuse what is right.


def refusal(text: str, status: int = 400, **more: Any) -> Failure:
    return Failure(status, {"message": text, "type": "invalid_request_error", **more})


NO_STREAMS = [
    refusal("Unsupported value: 'stream' does not support true with this model.", param="stream"),
    refusal("Streaming is not supported for this model."),
    refusal("stream is not a permitted field", 422),
    Body(frames=[b"streaming not implemented"], status=501, content_type="text/plain"),
    Body(frames=[b'{"detail":[{"loc":["body","stream"],"msg":"extra fields not permitted: stream"}]}'], status=422,
         content_type="application/json"),
]  # fmt: skip


@pytest.mark.parametrize("refused", NO_STREAMS, ids=range(len(NO_STREAMS)))
async def test_a_server_that_refuses_streams_is_asked_for_the_whole_and_remembered(refused: Any, caller, first):
    first.enqueue(refused)
    for _ in range(2):
        outcome = await caller.ask("first/m")
        assert (outcome.outcomes, outcome.answer.text) == (["first answered"], ELSEWHERE)
    assert [request.body["stream"] for request in first.requests] == [True, False, False]
    assert "stream_options" not in first.requests[1].body


async def test_stream_options_that_are_refused_are_left_out(caller, first):
    first.enqueue(refusal("Unrecognized request argument supplied: stream_options"))
    for _ in range(2):
        assert (await caller.ask("first/m")).answer.text == ELSEWHERE
    assert ["stream_options" in request.body for request in first.requests] == [True, False, False]
    assert all(request.body["stream"] for request in first.requests)


async def test_a_server_that_refuses_first_the_options_and_then_the_stream_answers(caller, first):
    first.enqueue(refusal("unknown field: stream_options"), refusal("stream must be false"))
    assert (await caller.ask("first/m")).outcomes == ["first answered"]
    assert [request.body["stream"] for request in first.requests] == [True, True, False]


async def test_a_server_that_answers_in_streams_alone_is_asked_for_them(caller, first):
    first.enqueue(refusal("This model only supports stream mode, please enable the stream parameter."))
    for _ in range(2):
        assert (await caller.ask("first/m", whole=True)).answer.text == ELSEWHERE
    assert [request.body["stream"] for request in first.requests] == [False, True, True]


async def test_a_refusal_of_everything_is_told_and_not_remembered(caller, first, second):
    first.enqueue(*[refusal("stream? no.")] * 2)
    outcome = await caller.ask("first/m", "second/m")
    assert outcome.outcomes == ["first bad_request", "second answered"]
    await caller.ask("first/m")
    assert [request.body["stream"] for request in first.requests] == [True, False, True]


async def test_what_was_learnt_is_forgotten(serve, first):
    caller = await serve(first.settings("first", manners_remembered="0s"))
    first.enqueue(refusal("no streaming"))
    for _ in range(2):
        await caller.ask("first/m")
    assert [request.body["stream"] for request in first.requests] == [True, False, True]


async def test_a_whole_answer_in_the_place_of_a_stream_has_a_whole_ones_time(serve, first):
    ready = asyncio.Event()
    caller = await serve(first.settings("first", timeouts={"first_token": "200ms", "headers": "30s", "whole": "30s"}))
    first.enqueue(refusal("no streaming"), Answer(hold={0: ready}))
    asking = asyncio.ensure_future(caller.ask("first/m"))
    await first.next_request()
    await first.next_request()
    asyncio.get_running_loop().call_later(0.5, ready.set)
    assert (await asking).outcomes == ["first answered"]


async def test_a_beginning_of_nothing_but_blanks_is_bounded(caller, first):
    first.enqueue(Body(frames=[b" " * 50_000], content_type="text/plain", end=End.REPEAT))
    outcome = await asyncio.wait_for(caller.ask("first/m", "second/m"), 60)
    assert outcome.outcomes == ["first malformed", "second answered"]
