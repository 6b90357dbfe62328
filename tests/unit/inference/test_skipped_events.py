"""One event that nobody can read, in a stream that is good otherwise: skipped where nothing shows that content was lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from penstock_common.llm.types import TextDelta
from penstock_inference.adapters.providers.openai.stream import CompletionStream
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Gap, UpstreamEvent

ODD = b"oops, {not json"
DONE = b"[DONE]"


def chunk(text: str | None = None, **more: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish_reason", None)}
    return json.dumps({"id": "x", "object": "chat.completion.chunk", "choices": [choice], **more}).encode()


def counted(tokens: int) -> bytes:
    usage = {"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": 3 + tokens}
    return json.dumps({"id": "x", "object": "chat.completion.chunk", "choices": [], "usage": usage}).encode()


def read(payloads: Sequence[bytes], *, at_once: bool) -> list[UpstreamEvent]:
    """Return the events of a stream, read event by event, or all at once."""
    stream = CompletionStream()
    frames = [b"data: %b\n\n" % payload for payload in payloads]
    return [event for data in ([b"".join(frames)] if at_once else frames) for event in stream.feed(data)]


def answer(*between: bytes, tokens: int, pieces: int = 4) -> list[bytes]:
    """Return an answer of so many pieces of text, with something in the middle, which counts its tokens at the end."""
    texts = [chunk(f"t{number} ") for number in range(pieces)]
    return [*texts[:2], *between, *texts[2:], chunk(finish_reason="stop"), counted(tokens), DONE]


both = pytest.mark.parametrize("at_once", [False, True], ids=["event by event", "at once"])


@both
@pytest.mark.parametrize("tokens", [4, 6, 40], ids=["as many as came", "two more", "many more"])
def test_it_is_skipped_where_the_count_of_tokens_does_not_miss_one(tokens: int, at_once: bool) -> None:
    events = read(answer(ODD, tokens=tokens), at_once=at_once)
    assert sum(isinstance(event, Gap) for event in events) == 1
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "t0 t1 t2 t3 "
    # What follows it is told apart from what came before.
    gap = next(number for number, event in enumerate(events) if isinstance(event, Gap))
    assert "".join(event.text for event in events[:gap] if isinstance(event, TextDelta)) == "t0 t1 "


REFUSED = {
    "one token more was counted than came": answer(ODD, tokens=5),
    "a second one": answer(ODD, ODD, tokens=4),
    "one before the answer has begun": [ODD, *answer(tokens=4)],
    "one that begins as the others do": answer(b'{"id": oops', tokens=4),
    "one that names a part of the answer": answer(b'oops "delta"', tokens=4),
}


@both
@pytest.mark.parametrize("payloads", REFUSED.values(), ids=REFUSED)
def test_it_is_a_malformed_event_where_it_may_have_been_a_part(payloads: list[bytes], at_once: bool) -> None:
    with pytest.raises(AttemptFailed) as failed:
        read(payloads, at_once=at_once)
    assert failed.value.kind is FailureKind.MALFORMED


@both
def test_without_one_any_count_of_tokens_will_do(at_once: bool) -> None:
    assert not any(isinstance(event, Gap) for event in read(answer(tokens=5), at_once=at_once))


@both
def test_a_chunk_with_a_role_alone_is_no_part(at_once: bool) -> None:
    role = json.dumps({"id": "x", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}).encode()
    with pytest.raises(AttemptFailed):
        read([role, ODD, *answer(tokens=4)], at_once=at_once)
    assert read([role, *answer(ODD, tokens=4)], at_once=at_once)


@both
def test_a_count_of_tokens_on_the_way_is_no_part(at_once: bool) -> None:
    payloads = [chunk("a"), counted(1), ODD, chunk("b"), chunk(finish_reason="stop"), counted(3), DONE]
    with pytest.raises(AttemptFailed):
        read(payloads, at_once=at_once)
