"""What a provider of the caller's own format answers reaches the caller so: from the provider's bytes, through the contract on the wire, to the surface's.

The documented differences (docs/requests.md, "What comes back from a provider of the same format") are the rules below, and
nothing else may differ. What Penstock does not read is the same bytes; what it reads has the same value.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_common.llm.convert.events import event_from_proto, event_to_proto
from penstock_common.llm.events import Answer, merge_deltas
from penstock_common.llm.types import Candidate, Finished, GenerationEvent, Started
from penstock_gateway.surfaces.wire_formats.anthropic.messages.stream import EventRenderer as MessageRenderer
from penstock_gateway.surfaces.wire_formats.anthropic.messages.whole import render_message
from penstock_gateway.surfaces.wire_formats.format import USUAL_FORM, StreamSummary
from penstock_gateway.surfaces.wire_formats.openai.chat.render import ChunkRenderer, render_whole
from penstock_gateway.surfaces.wire_formats.openai.responses.form import ResponseForm
from penstock_gateway.surfaces.wire_formats.openai.responses.stream import ResponseRenderer
from penstock_gateway.surfaces.wire_formats.openai.responses.whole import render_response
from penstock_inference.adapters.providers.anthropic import stream as anthropic
from penstock_inference.adapters.providers.anthropic import unread as anthropic_unread
from penstock_inference.adapters.providers.http.unread import MAX_UNREAD_BYTES
from penstock_inference.adapters.providers.openai import chunks
from penstock_inference.adapters.providers.openai import stream as openai
from penstock_inference.adapters.providers.openai import unread as openai_unread
from penstock_inference.adapters.providers.openai.reader import whole_answer
from penstock_inference.adapters.providers.openai_responses import stream as responses
from penstock_inference.domain.upstream import Stopped, Unread

EXAMPLES = 30
MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
HERE = Candidate(upstream="there", model="m")
SUMMARY = StreamSummary(overhead_ms=1, cache="miss")
FORM = ResponseForm(model="m", members={"text": {"format": {"type": "text"}}, "metadata": {}, "store": False})

# Values as servers write them: numbers in every form, escapes, blanks; what is not read is to keep all of it.
VALUES = st.sampled_from(
    [
        "1.0",
        "1e5",
        "9007199254740993",
        '"\\u00e9"',
        '"é\\/"',
        "null",
        "[]",
        "{}",
        '{"a" : 1.50, "a b":[ ]}',
        "[true ,2]",
    ]
)
NAMES = ("system_fingerprint", "provider", "citations", "x_vendor", "usd", "native", "é", "stop_reason_2")
UNREAD = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def written(known: dict[str, Any], unread: dict[str, str]) -> str:
    """Return a JSON object with members as Python has them, and others as they are written."""
    parts = [
        f"{json.dumps(name)}:{value if isinstance(value, Written) else json.dumps(value)}"
        for name, value in known.items()
    ]
    return Written("{" + ",".join(parts + [f"{json.dumps(name)}:{value}" for name, value in unread.items()]) + "}")


class Written(str):
    """JSON that stands as it is."""

    __slots__ = ()


def told_of(events: list[Any]) -> list[GenerationEvent]:
    """Return the events of an attempt as a caller's surface has them: ended, and once over the wire."""
    stopped = next(event for event in events if isinstance(event, Stopped))
    unread = [event for event in events if isinstance(event, Unread)]
    finished = Finished(
        reason=stopped.reason,
        answered_by=HERE,
        matched_stop=stopped.matched_stop,
        stop_details=stopped.details,
        service_tier=stopped.service_tier,
        unread=unread[-1].block if unread else None,
    )
    content = [event for event in events if not isinstance(event, Stopped | Unread)]
    through = merge_deltas([Started(generation_id="1", answered_by=HERE), *content, finished])
    return [event_from_proto(event_to_proto(event)) for event in through]


def sum_of(events: list[GenerationEvent]) -> Answer:
    answer = Answer()
    answer.extend(events)
    return answer


def bytes_of(raw: bytes | str, *path: str) -> dict[str, bytes]:
    """Return the members of an object within JSON, each as it stands."""
    raw = raw.encode() if isinstance(raw, str) else raw
    for name in path:
        if name.isdigit():
            raw = bytes(msgspec.json.decode(raw, type=list[msgspec.Raw])[int(name)])
        else:
            raw = bytes(MEMBERS.decode(raw)[name])
    return {name: bytes(value) for name, value in MEMBERS.decode(raw).items()}


def holds(told: dict[str, bytes], unread: dict[str, str]) -> None:
    """Fail unless all that was not read came back as it was written."""
    assert {name: told.get(name) for name in unread} == {name: value.encode() for name, value in unread.items()}


def only(told: dict[str, bytes], theirs: dict[str, bytes], ours: set[str]) -> None:
    """Fail where something came back that nobody said, or was lost."""
    assert set(told) - set(theirs) <= ours
    assert set(theirs) <= set(told)


CHAT_USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}


@settings(max_examples=EXAMPLES, deadline=None)
@given(TEXTS, UNREAD, UNREAD, UNREAD, UNREAD, UNREAD)
def test_a_whole_completion_is_told_with_all_that_nobody_reads(text, top, of_choice, of_message, of_usage, of_details):
    details = written({"cached_tokens": 2}, of_details)
    message = written({"role": "assistant", "content": text}, of_message)
    choice = written({"index": 0, "message": message, "finish_reason": "stop"}, of_choice)
    usage = written({**CHAT_USAGE, "prompt_tokens_details": details}, of_usage)
    body = written({"id": "theirs", "choices": Written(f"[{choice}]"), "usage": usage}, top)
    answer = sum_of(told_of(whole_answer(body.encode())))
    told = render_whole([answer], "ours", 1, USUAL_FORM)
    for unread, path in ((top, ()), (of_choice, ("choices", "0")), (of_message, ("choices", "0", "message")),
                         (of_usage, ("usage",)), (of_details, ("usage", "prompt_tokens_details"))):  # fmt: skip
        holds(bytes_of(told, *path), unread)
    only(bytes_of(told), bytes_of(body), {"object", "created", "model"})
    assert json.loads(told)["choices"][0]["message"]["content"] == text
    assert {name: json.loads(told)["usage"][name] for name in CHAT_USAGE} == CHAT_USAGE


@settings(max_examples=EXAMPLES, deadline=None)
@given(TEXTS, UNREAD, UNREAD, UNREAD, UNREAD)
def test_a_streamed_completion_is_told_with_what_its_last_chunks_say_beside(text, top, of_choice, of_delta, of_usage):
    def frame(choices: str, more: dict[str, Any]) -> str:
        return f"data: {written({'id': 'theirs', 'choices': Written(choices), **more}, top)}\n\n"

    said = written({"index": 0, "delta": {"content": text}, "finish_reason": None}, {})
    end = written({"index": 0, "delta": written({}, of_delta), "finish_reason": "stop"}, of_choice)
    stream = frame(f"[{said}]", {}) + frame(f"[{end}]", {}) + frame("[]", {"usage": written(CHAT_USAGE, of_usage)})
    reader = openai.CompletionStream()
    events = told_of([*reader.feed(stream.encode()), *reader.feed(b"data: [DONE]\n\n")])
    renderer = ChunkRenderer("ours", 1, include_usage=True)
    frames = (renderer.render(events) + renderer.end(SUMMARY)).split(b"\n\n")
    *_, ended, counted, done, _ = [each.removeprefix(b"data: ") for each in frames]
    assert done == b"[DONE]"
    for told, unread, path in (
        (ended, top, ()), (ended, of_choice, ("choices", "0")), (ended, of_delta, ("choices", "0", "delta")),
        (counted, top, ()), (counted, of_usage, ("usage",)),
    ):  # fmt: skip
        holds(bytes_of(told, *path), unread)
    assert json.loads(ended)["choices"][0]["finish_reason"] == "stop"


MESSAGE_USAGE = {"input_tokens": 9, "output_tokens": 5, "cache_read_input_tokens": 2}


@settings(max_examples=EXAMPLES, deadline=None)
@given(TEXTS, UNREAD, UNREAD)
def test_a_whole_message_is_told_with_all_that_nobody_reads(text, top, of_usage):
    usage = written({**MESSAGE_USAGE, "inference_geo": "eu"}, of_usage)
    known = {
        "id": "theirs",
        "type": "message",
        "role": "assistant",
        "stop_reason": "end_turn",
        "container": {"id": "c"},
    }
    body = written({**known, "content": [{"type": "text", "text": text}], "usage": usage}, top)
    answer = sum_of(told_of(anthropic.whole_answer(body.encode())))
    told = render_message([answer], "ours", 1, USUAL_FORM)
    holds(bytes_of(told), top)
    holds(bytes_of(told, "usage"), of_usage)
    value = json.loads(told)
    assert value["container"] == {"id": "c"}
    assert value["usage"]["inference_geo"] == "eu"
    assert value["content"][0]["text"] == text
    assert {name: value["usage"][name] for name in MESSAGE_USAGE} == MESSAGE_USAGE


@settings(max_examples=EXAMPLES, deadline=None)
@given(TEXTS, UNREAD, UNREAD, UNREAD)
def test_a_streamed_message_is_told_with_what_begins_and_ends_it(text, of_start, of_delta, of_usage):
    begun = written(
        {"id": "theirs", "type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 9}}, of_start
    )
    end = written({"stop_reason": "end_turn", "container": {"id": "c"}}, {})
    frames = [
        written({"type": "message_start", "message": begun}, {}),
        written({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, {}),
        written({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}, {}),
        written({"type": "content_block_stop", "index": 0}, {}),
        written({"type": "message_delta", "delta": end, "usage": written({"output_tokens": 5}, of_usage)}, of_delta),
        written({"type": "message_stop"}, {}),
    ]
    events = told_of(anthropic.MessageStream().feed("".join(f"data: {each}\n\n" for each in frames).encode()))
    renderer = MessageRenderer("ours", 1, include_usage=True, form=USUAL_FORM)
    out = renderer.render(events) + renderer.end(SUMMARY)
    told = next(line for line in out.split(b"\n") if line.startswith(b'data: {"type":"message_delta"'))[len("data: ") :]
    # The end's word counts where the beginning had another.
    holds(bytes_of(told), {**of_start, **of_delta})
    holds(bytes_of(told, "usage"), of_usage)
    assert json.loads(told)["delta"] == {
        "stop_reason": "end_turn", "stop_sequence": None, "stop_details": None, "container": {"id": "c"},
    }  # fmt: skip


RESPONSE_USAGE = {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14}


@settings(max_examples=EXAMPLES, deadline=None)
@given(TEXTS, UNREAD, UNREAD, st.booleans())
def test_a_response_is_told_with_all_that_nobody_reads(text, top, of_usage, streamed):
    item = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    usage = written(RESPONSE_USAGE, of_usage)
    body = written({"id": "theirs", "object": "response", "status": "completed", "output": [item], "usage": usage}, top)
    if streamed:
        frame = written({"type": "response.completed", "response": body}, {})
        events = told_of(responses.ResponseStream().feed(f"data: {frame}\n\n".encode()))
        renderer = ResponseRenderer("resp_1", 1, True, FORM)
        out = renderer.render(events) + renderer.end(SUMMARY)
        last = [line for line in out.split(b"\n") if line.startswith(b"data: {")][-1]
        told = msgspec.json.encode(MEMBERS.decode(last[len("data: ") :])["response"])
    else:
        told = render_response([sum_of(told_of(responses.whole_answer(body.encode())))], "resp_1", 1, FORM)
    holds(bytes_of(told), top)
    holds(bytes_of(told, "usage"), of_usage)
    assert json.loads(told)["output"][0]["content"][0]["text"] == text
    assert set(json.loads(body)) <= set(json.loads(told))


def test_a_stream_that_says_ever_more_beside_its_answer_is_kept_to_the_bound() -> None:
    piece = "x" * 60_000
    openai_told = openai_unread.UnreadOfStream()
    events: list[Any] = []
    message: Unread | None = anthropic_unread.unread_of(b'{"type":"message","first":1}')
    for at in range(20):
        chunk = msgspec.json.encode({"id": "c", "choices": [], f"more{at}": piece})
        openai_told.add(msgspec.json.decode(chunk, type=chunks.Chunk), chunk, events)
        message = anthropic_unread.with_end(message, msgspec.json.encode({"delta": {}, f"more{at}": piece}))
    assert message is not None
    for told in (events[-1], message):
        assert len(told.block.json) <= MAX_UNREAD_BYTES
        assert '"more3"' in told.block.json
        assert '"more4"' not in told.block.json
    assert '"first":1' in message.block.json
