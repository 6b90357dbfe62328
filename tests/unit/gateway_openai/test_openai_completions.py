"""The older completions format: what is read, what is refused by name, and the exact bytes of answers."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types import Completion

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    Message,
    ReasoningDelta,
    Role,
    Started,
    Text,
    TextDelta,
    Usage,
)
from penstock_gateway.surfaces.wire_formats.format import ReadRequest, StreamSummary
from penstock_gateway.surfaces.wire_formats.openai.completions.parse import parse_completion_request
from penstock_gateway.surfaces.wire_formats.openai.completions.render import TextChunkRenderer, render_text_completion

MINI = Candidate(upstream="openai", model="gpt-4o-mini")
EVENTS: list[GenerationEvent] = [
    Started(generation_id="g", answered_by=MINI),
    ReasoningDelta(text="Hm."),
    TextDelta(text="Hé\u2028"),
    TextDelta(text="llo"),
    Usage(input_tokens=10, output_tokens=4),
    Finished(reason=FinishReason.LENGTH, answered_by=MINI, attempts=1, cost_nano_usd=12_000),
]
HEAD = 'data: {"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"gpt-4o-mini","choices":['


def parsed(**body: Any) -> ReadRequest:
    return parse_completion_request(json.dumps({"model": "fast", "prompt": "Once", **body}).encode())


@pytest.mark.parametrize("prompt", ["Once", ["Once"]])
def test_prompt_becomes_the_users_turn(prompt: str | list[str]):
    assert parsed(prompt=prompt).input.messages == (Message(role=Role.USER, parts=(Text(text="Once"),)),)


def test_sampling_is_read_and_sixteen_tokens_are_the_default():
    request = parsed(temperature=0.5, top_p=0.9, stop="END", seed=7, user="u", n=1, best_of=1, echo=False)
    sampling = request.input.sampling
    assert sampling is not None
    assert (sampling.temperature, sampling.top_p, sampling.stop, sampling.seed) == (0.5, 0.9, ("END",), 7)
    assert sampling.max_output_tokens == 16
    assert request.context.user == "u"
    assert not request.stream
    named = parsed(max_tokens=99).input.sampling
    assert named is not None
    assert named.max_output_tokens == 99


def test_unread_members_travel_on_as_written():
    assert parsed(logit_bias={"50256": -100}, suffix=None).input.extra_json == '{"logit_bias":{"50256": -100}}'


@pytest.mark.parametrize(
    ("field", "value"),
    [("best_of", 3), ("suffix", "."), ("prompt", [1, 2]), ("prompt", [[1, 2]]), ("prompt", ["a", 1])],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_name(field: str, value: Any):
    with pytest.raises(UnsupportedParameter) as caught:
        parsed(**{field: value})
    assert caught.value.parameter == field
    assert field in caught.value.message


@pytest.mark.parametrize(
    ("field", "value"),
    [("prompt", []), ("prompt", None), ("prompt", 5), ("stream_options", {"include_usage": True}), ("echo", "yes")],
)
def test_malformed_fields_are_named(field: str, value: Any):
    with pytest.raises(InvalidRequest) as caught:
        parsed(**{field: value})
    assert caught.value.field == field


def test_stream_has_text_then_the_reason_then_usage():
    renderer = TextChunkRenderer("cmpl-1", 1_700_000_000, True)
    frames = b"".join(
        [*(renderer.render((event,)) for event in EVENTS), renderer.end(StreamSummary(overhead_ms=1, cache="miss"))]
    )
    lines = frames.decode().split("\n\n")
    assert lines[:3] == [
        HEAD + '{"text":"Hé\\u2028","index":0,"logprobs":null,"finish_reason":null}],"usage":null}',
        HEAD + '{"text":"llo","index":0,"logprobs":null,"finish_reason":null}],"usage":null}',
        HEAD + '{"text":"","index":0,"logprobs":null,"finish_reason":"length"}],"usage":null}',
    ]
    assert lines[3].startswith(HEAD + '],"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14')
    assert lines[4:] == ["data: [DONE]", ""]


def test_stream_without_usage_ends_with_done_alone():
    renderer = TextChunkRenderer("cmpl-1", 1_700_000_000, False)
    assert b"usage" not in b"".join(renderer.render((event,)) for event in EVENTS)
    assert renderer.end(StreamSummary(overhead_ms=1, cache="miss")) == b"data: [DONE]\n\n"


def test_vendors_sdk_reads_whole_and_streamed_answers(server: Any):
    answer = Answer()
    for event in EVENTS:
        answer.add(event)
    client = openai.OpenAI(base_url=server.base_url, api_key="key-of-a-test", max_retries=0)
    with client:
        server.answer(render_text_completion((answer,), "cmpl-1", 1_700_000_000))
        whole = client.completions.create(model="fast", prompt="Once")
        assert isinstance(whole, Completion)
        assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("Hé\u2028llo", "length")
        assert whole.usage is not None
        assert whole.usage.total_tokens == 14
        renderer = TextChunkRenderer("cmpl-1", 1_700_000_000, False)
        end = renderer.end(StreamSummary(overhead_ms=1, cache="miss"))
        server.stream(b"".join([*(renderer.render((event,)) for event in EVENTS), end]))
        chunks = list(client.completions.create(model="fast", prompt="Once", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Hé\u2028llo"
    assert parse_completion_request(server.received[1]).stream
