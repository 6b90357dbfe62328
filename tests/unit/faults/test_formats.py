"""Every format: each piece of an answer is one event, whatever the wire, and a path says which it is."""

from __future__ import annotations

import json

import pytest

from penstock_faults.http.formats import FORMATS, format_of
from penstock_faults.http.response import reply_of
from penstock_faults.record import Seen
from penstock_faults.script import TOKENS, Answer, Error, Refusal, Text, Thought, ToolCall

ALL = pytest.mark.parametrize("wire", sorted(FORMATS))
BLOCKS = (
    Thought(pieces=("Hm", "..."), signature="c2ln"),
    Thought(hidden="aGlkZGVu"),
    Text(pieces=("He", "llo"), citations=({"type": "char_location", "cited_text": "x"},)),
    ToolCall(name="weather", fragments=('{"city"', ': "Oslo"}'), id="call_a"),
    ToolCall(name="clock", id="call_b"),
    Refusal(pieces=("No.",)),
)
PATHS = {
    "/v1/chat/completions": "openai",
    "/v1/embeddings": "openai",
    "/v1/models": "openai",
    "/anything/else": "openai",
    "/v1/responses": "openai_responses",
    "/openai/v1/responses": "openai_responses",
    "/openai/v1/chat/completions": "azure",
    "/openai/deployments/mine/chat/completions": "azure",
    "/openai/deployments/mine/embeddings": "azure",
    "/v1/messages": "anthropic",
    "/v1/messages/count_tokens": "anthropic",
    "/v1/projects/p/locations/l/publishers/anthropic/models/claude:streamRawPredict": "anthropic",
    "/v1beta/models/gemini:generateContent": "gemini",
    "/v1/projects/p/locations/l/publishers/google/models/gemini:streamGenerateContent": "gemini",
    "/v1beta/models/e:batchEmbedContents": "gemini",
    "/model/anthropic.claude%3A0/converse": "bedrock",
    "/model/anthropic.claude%3A0/converse-stream": "bedrock",
    "/api/chat": "ollama",
    "/api/embed": "ollama",
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_says_which_wire_it_is(path):
    assert format_of(path).name == PATHS[path]


@pytest.mark.parametrize(
    ("path", "body", "model", "streams"),
    [
        ("/openai/deployments/my%20own/chat/completions?api-version=1", {"model": "x", "stream": True}, "my own", True),
        ("/openai/v1/chat/completions", {"model": "x"}, "x", False),
        ("/v1beta/models/g:streamGenerateContent?alt=sse", {}, "g", True),
        ("/v1beta/models/g:generateContent?key=secret", {}, "g", False),
        ("/model/a.b%3A0/converse-stream", {}, "a.b:0", True),
        ("/api/chat", {"model": "x"}, "x", True),
        ("/api/chat", {"model": "x", "stream": False}, "x", False),
    ],
)
def test_model_and_streams_are_read_where_the_wire_has_them(path, body, model, streams):
    seen = Seen(1, 1, 0.0, path, raw_body=json.dumps(body).encode())
    asked = format_of(seen.bare_path).asked(seen)
    assert (asked.model, asked.streams) == (model, streams)
    assert "secret" not in json.dumps(seen.document())


@ALL
def test_every_piece_is_one_event(wire):
    events = list(FORMATS[wire].events(reply_of(Answer(), "m")))
    for number, token in enumerate(TOKENS, start=1):
        assert json.dumps(token)[1:-1].encode() in events[number]
    assert len(events) >= len(TOKENS) + 2
    # Nothing of the answer is in what comes before its first piece.
    assert b"Whoever" not in events[0]
    assert list(FORMATS[wire].events(reply_of(Answer(), "m"))) == events


@ALL
def test_every_block_is_said_streamed_and_whole(wire):
    reply = reply_of(Answer(blocks=BLOCKS, finish_reason="tool_calls", usage={"cached": 3, "reasoning": 1}), "m")
    streamed, whole = b"".join(FORMATS[wire].events(reply)), FORMATS[wire].whole(reply)
    for said in (streamed, whole):
        for word in (b"weather", b"clock", b"No."):
            assert word in said
    assert (b"c2ln" in streamed) == (b"c2ln" in whole)
    assert (b"aGlkZGVu" in streamed) == (b"aGlkZGVu" in whole)
    assert (b"char_location" in streamed) == (b"char_location" in whole)
    assert json.loads(whole)


@ALL
def test_every_error_is_one_in_the_wires_own_form(wire):
    form = FORMATS[wire]
    seen = Seen(1, 1, 0.0, "/")
    told = form.failure(Error(message="Too much.", type="requests"), 429, "37", form.asked(seen))
    assert told.status == 429
    assert b"Too much." in told.document
    assert json.loads(told.document)
    assert b"engine" in form.error_event(Error(message="The engine is overloaded.", code="overloaded"))


@ALL
def test_an_answer_that_never_says_why_it_ended_has_no_reason_for_its_end(wire):
    without = b"".join(FORMATS[wire].events(reply_of(Answer(finish_reason=None, usage="missing"), "m")))
    with_one = b"".join(FORMATS[wire].events(reply_of(Answer(finish_reason="odd-word"), "m")))
    assert b"odd-word" not in without
    assert len(without) < len(with_one)
