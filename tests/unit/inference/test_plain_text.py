"""Chunks that differ in their text alone are read by their text alone, and say what reading them whole would say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.types import TextDelta
from penstock_inference.adapters.providers.openai import chunks as wire
from penstock_inference.adapters.providers.openai.plain_text import TextFrame, text_alone
from penstock_inference.adapters.providers.openai.stream import CompletionStream
from penstock_inference.domain.failure import AttemptFailed


def chunk(text: str, *, ascii_only: bool = True, **more: Any) -> bytes:
    """Return a chunk as a server writes it."""
    body = {
        "id": "c1",
        "created": 1,
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
        **more,
    }
    return json.dumps(body, ensure_ascii=ascii_only).encode()


def learnt(payload: bytes) -> TextFrame:
    """Return a frame that has learnt from this chunk."""
    frame, text = TextFrame(), text_alone(wire.CHUNK.decode(payload))
    assert text is not None
    frame.learn(payload, text)
    return frame


def taken(frame: TextFrame, *payloads: bytes) -> list[str]:
    """Return the texts of those that fit, up to the first that does not."""
    texts: list[str] = []
    assert frame.take(list(payloads), 0, texts) == len(texts)
    return texts


@given(st.lists(st.text(min_size=1), min_size=1), st.booleans())
def test_texts_between_the_same_bytes_are_read(texts: list[str], ascii_only: bool) -> None:
    # No lone surrogates: those are no text.
    texts = [text.encode(errors="replace").decode() for text in texts]
    frame = learnt(chunk("Hello"))
    assert taken(frame, *[chunk(text, ascii_only=ascii_only) for text in texts]) == texts


@pytest.mark.parametrize(
    "other",
    [
        chunk("a", usage={"prompt_tokens": 1}),
        chunk("a").replace(b"null", b'"stop"'),
        chunk("a").replace(b'"content"', b'"reasoning"'),
        chunk("a").replace(b'"index": 0', b'"index": 1'),
        chunk("a").replace(b'"a"', b'"a", "tool_calls": [{}]'),
        chunk("a").replace(b'"a"', b'"a", "content": "b"'),
        chunk("a").replace(b'"a"', b"null"),
        chunk("a").replace(b'"a"', b"7"),
        chunk("a").replace(b'"a"', b'["a"]'),
        chunk("a").replace(b'"a"', b'"a'),
        chunk("a").replace(b'"a"', b'"\\ud800"'),
        chunk("a").replace(b'"a"', b'"\xff"'),
        chunk("a").replace(b'"a"', b""),
        chunk(""),
        chunk("a")[:-1],
        chunk("a")[1:],
        b"{}",
        b"",
        b"[DONE]",
    ],
    ids=["usage", "finish", "reasoning", "index", "calls", "twice", "null", "number", "list", "open", "surrogate", "bytes",
         "nothing", "no text", "cut", "headless", "object", "empty", "done"],
)  # fmt: skip
def test_whatever_says_more_or_is_broken_does_not_fit(other: bytes) -> None:
    frame = learnt(chunk("Hello"))
    assert taken(frame, chunk("a"), other, chunk("b")) == ["a"]


@pytest.mark.parametrize(
    "payload",
    [
        chunk("id"),
        chunk("content"),
        chunk("c1"),
        chunk("0"),
        b'{"content": "Hi", "choices": [{"delta": {"content": "Hi"}}]}',
        b'{"choices": [{"delta": {"content": "Hi", "content": "Hi"}}]}',
        b'{"choices": [{"delta": {"content": "Hi"}}], "content": "Hi"}',
        b'{"choices": [{"delta": {"content": "H\\u0069"}}]}',
    ],
    ids=["id", "content", "c1", "0", "before", "twice", "after", "escaped"],
)
def test_a_frame_is_the_texts_own_or_none(payload: bytes) -> None:
    frame = learnt(payload)
    before, found, after = payload.rpartition(b'"content": "Hi"')
    for other in (payload.replace(b'"Hi"', b'"ho"', 1), before + b'"content": "ho"' + after if found else payload):
        whole = text_alone(wire.CHUNK.decode(other))
        # Where it fits, it says what it says when it is read whole.
        assert taken(frame, other) in ([], [whole])


@pytest.mark.parametrize(
    ("ticks", "is_known"), [(3, True), (1, False)], ids=["a frame that holds for a while", "none that ever holds"]
)
def test_a_frame_follows_a_server_that_changes_it_now_and_then_and_gives_up_on_one_that_always_does(
    ticks: int, is_known: bool
) -> None:
    frame, texts = TextFrame(), []
    for second in range(20):
        for tick in range(ticks):
            payload = chunk(f"{second}.{tick}", created=second)
            if not frame.take([payload], 0, texts):
                frame.learn(payload, f"{second}.{tick}")
    assert (frame.is_known, bool(frame.tries)) == (is_known, is_known)
    assert len(texts) == 20 * (ticks - 1)


@given(st.lists(st.sampled_from([chunk("a"), chunk("b"), chunk(""), chunk("é"), chunk("c", created=2), b"[DONE]"])))
def test_a_stream_read_at_once_says_what_its_events_say_one_by_one(payloads: list[bytes]) -> None:
    def said(reads: list[bytes]) -> tuple[str, bool, bool]:
        stream, failed, text = CompletionStream(), False, ""
        try:
            for read in reads:
                if not stream.done:
                    text += "".join(event.text for event in stream.feed(read) if isinstance(event, TextDelta))
        except AttemptFailed:
            failed = True
        return "" if failed else text, failed, stream.done

    events = [b"data: " + payload + b"\n\n" for payload in payloads]
    # A comment before each takes the long way, where no frame is used.
    assert said([b"".join(events)]) == said(events) == said([b": x\n\n" + event for event in events])
