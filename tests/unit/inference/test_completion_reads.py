"""However the bytes of a completion are cut into reads, it is the same answer; what comes whole takes a shorter way."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import TextDelta
from penstock_inference.adapters.providers.http.server_sent_events import (
    MAX_EVENT_BYTES,
    EventParser,
    StreamTooLargeError,
)
from penstock_inference.adapters.providers.openai.reader import whole_answer
from penstock_inference.adapters.providers.openai.stream import CompletionStream
from penstock_inference.domain.failure import AttemptFailed
from penstock_inference.domain.upstream import Stopped, UpstreamEvent


def event(**choice: Any) -> bytes:
    """Return an event with this choice."""
    return b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


EVENTS = st.sampled_from(
    [
        event(delta={"content": "a"}),
        event(delta={"content": "Hé 日本 👋🏽"}),
        event(delta={"content": "data: x\n\ndata: y"}),
        event(delta={"content": ""}),
        event(delta={"role": "assistant"}),
        event(delta={"reasoning_content": "Hm."}),
        event(delta={"content": "b", "reasoning": "Hm."}),
        event(delta={"refusal": "No."}),
        event(delta={"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]}),
        event(delta={"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}),
        event(delta={"content": "of another"}, index=1),
        event(delta={"content": "d"}, finish_reason="stop"),
        event(delta={}, finish_reason="length"),
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"e"}}],"error":null,"usage":null}\n\n',
        b": ping\n\n",
        b"event: message\ndata: {}\n\n",
        b'data: {"choices":\ndata: [{"index":0,"delta":{"content":"two lines"}}]}\n\n',
        b'data:{"choices":[{"index":0,"delta":{"content":"no blank"}}]}\n\n',
        b"data: [DONE]\n\n",
        b"\n",
    ]
)


def seen(stream: bytes, cuts: list[int]) -> tuple[list[UpstreamEvent], bool]:
    """Return the canonical form of what a stream fed in these pieces says, and whether it was done."""
    completion = CompletionStream()
    events: list[UpstreamEvent] = []
    bounds = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    for begin, end in zip(bounds, bounds[1:], strict=False):
        if not completion.done:
            events += completion.feed(stream[begin:end])
    deltas = merge_deltas(event for event in events if not isinstance(event, Stopped))  # pyright: ignore[reportArgumentType]
    return [*deltas, *(event for event in events if isinstance(event, Stopped))], completion.done  # pyright: ignore[reportReturnType]


def without_the_usages_place(events: list[UpstreamEvent]) -> list[str]:
    """Return the events in an order that does not depend on which of them were read at once."""
    return sorted(re.sub(r"call_[0-9a-f]{24}", "made up", repr(event)) for event in events)


@given(st.lists(EVENTS, max_size=12), st.sampled_from([b"\n", b"\r\n"]), st.lists(st.integers(0, 2000), max_size=20))
def test_any_cut_gives_the_same_answer(events: list[bytes], line_end: bytes, cuts: list[int]) -> None:
    stream = b": the beginning\n\n" + b"".join(events)
    stream = stream.replace(b"\n", line_end)
    # A usage in the middle of an answer goes behind what was read with it: vendors send it at the end.
    whole, done = seen(stream, [])
    by_event, _ = seen(stream, [stream.find(b"data", begin) for begin in range(0, len(stream), 7)])
    cut, also_done = seen(stream, cuts)
    assert done == also_done
    assert text_of(whole) == text_of(cut) == text_of(by_event)
    if b"usage" not in stream:
        assert without_the_usages_place(whole) == without_the_usages_place(cut)


def text_of(events: list[UpstreamEvent]) -> str:
    """Return the text of these events."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@given(st.lists(EVENTS, min_size=1, max_size=8))
def test_what_comes_whole_is_what_the_parser_makes_of_it(events: list[bytes]) -> None:
    chunk = b"".join(events)
    quick, slow = EventParser(), EventParser()
    for parser in (quick, slow):
        parser.feed(b": the beginning\n\n")
    data = quick.plain_data(chunk)
    if data is None:
        # Nothing of it was taken.
        assert quick.feed(chunk) == slow.feed(chunk)
    else:
        assert [(b"", piece) for piece in data] == slow.feed(chunk)


@pytest.mark.parametrize(
    "chunk",
    [
        b"data: a\n",
        b"data: a\n\ndata: b\n",
        b"data: a\r\n\r\n",
        b"data: a\ndata: b\n\n",
        b": ping\n\ndata: a\n\n",
        b"data: a\n\n\n",
        b"data:a\n\n",
        b"event: x\ndata: a\n\n",
        b"data: " + b"x" * MAX_EVENT_BYTES + b"\n\n",
    ],
)
def test_what_is_not_plain_goes_the_long_way(chunk: bytes) -> None:
    parser = EventParser()
    parser.feed(b"data: begin\n\n")
    assert parser.plain_data(chunk) is None


def test_nothing_is_plain_that_begins_with_a_mark_or_within_an_event() -> None:
    parser = EventParser()
    assert parser.plain_data(b"\xef\xbb\xbfdata: a\n\n") is None
    assert parser.feed(b"\xef\xbb\xbfdata: a\n\ndata: b\n") == [(b"", b"a")]
    assert parser.plain_data(b"data: c\n\n") is None
    assert parser.feed(b"data: c\n\n") == [(b"", b"b\nc")]


def test_a_mark_is_one_only_at_the_very_beginning() -> None:
    parser = EventParser()
    assert parser.plain_data(b"data: a\n\n") == [b"a"]
    assert parser.feed(b"\xef\xbb\xbfdata: b\n\n") == []


def test_plain_events_count_towards_the_streams_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock_inference.adapters.providers.http import server_sent_events

    monkeypatch.setattr(server_sent_events, "MAX_STREAM_BYTES", 100)
    parser = EventParser()
    parser.feed(b": x\n\n")
    with pytest.raises(StreamTooLargeError):
        for _ in range(20):
            parser.plain_data(b"data: abc\n\n")


@given(st.binary(max_size=60))
def test_a_whole_answer_of_any_bytes_is_an_answer_or_a_failure(body: bytes) -> None:
    with suppress(AttemptFailed):
        whole_answer(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "delta", "content", "tool_calls", "function", "name", "usage", "error",
                             "index", "finish_reason", "prompt_tokens"]),
            inner,
            max_size=4,
        ),
        max_leaves=12,
    )
)  # fmt: skip
def test_a_whole_answer_of_any_shape_is_an_answer_or_a_failure(document: Any) -> None:
    with suppress(AttemptFailed):
        whole_answer(json.dumps(document).encode())
