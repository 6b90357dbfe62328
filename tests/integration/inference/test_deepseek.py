"""DeepSeek: OpenAI's format at an address that everybody knows, with a turn's reasoning handed back to it."""

from datetime import timedelta

import pytest

from penstock_common.http.client import HttpClient
from penstock_common.llm.types import (
    GenerationInput,
    Message,
    Reasoning,
    Role,
    SamplingParams,
    Text,
    ToolCall,
    Usage,
)
from penstock_common.testing.openai_upstream import Answer, OpenAIUpstream
from penstock_inference.adapters.providers.deepseek.settings import BASE_URL, DeepSeekSettings
from penstock_inference.adapters.providers.registry import PROVIDERS
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import UpstreamCall

SAID = {"name": "deepseek", "provider": "deepseek", "models": [{"name": "m", "context_window": 1000}]}
LOOP = GenerationInput(
    model="fast",
    messages=(
        Message(role=Role.USER, parts=(Text(text="The weather?"),)),
        Message(
            role=Role.ASSISTANT,
            parts=(Reasoning(text="I must look."),),
            tool_calls=(ToolCall(id="c1", name="look_up", arguments_json="{}"),),
        ),
        Message(role=Role.TOOL, parts=(Text(text="Rain."),), tool_call_id="c1"),
    ),
)


@pytest.fixture
async def upstream():
    async with OpenAIUpstream() as upstream:
        yield upstream


async def ask(upstream: OpenAIUpstream, value: GenerationInput) -> list[object]:
    """Return the events of one answer."""
    settings = DeepSeekSettings.model_validate({**SAID, "base_url": upstream.base_url, "api_key": "sk-1"})
    call = UpstreamCall("deepseek-chat", value, timedelta(seconds=3).total_seconds(), lambda: None, lambda: None)
    events: list[object] = []
    async with HttpClient() as client, PROVIDERS["deepseek"].open_upstream(settings, client) as opened:
        answer = opened.upstream.ask(call)
        try:
            while batch := await answer.read():
                events += batch
        finally:
            await answer.aclose()
    return events


def test_its_address_need_not_be_said():
    assert DeepSeekSettings.model_validate(SAID).base_url == BASE_URL
    replicas = DeepSeekSettings.model_validate({**SAID, "base_urls": ["http://a/v1", "http://b/v1"]})
    assert [endpoint.base_url for _, endpoint in replicas.endpoints()] == ["http://a/v1", "http://b/v1"]


async def test_a_turn_that_called_comes_back_with_its_reasoning_and_its_cache_is_counted(upstream):
    upstream.enqueue(
        Answer(tokens=["Rain."], usage={"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4})
    )
    events = await ask(upstream, LOOP)
    turns = upstream.requests[0].body["messages"]
    assert turns[1]["reasoning_content"] == "I must look."
    assert upstream.requests[0].headers["authorization"] == "Bearer sk-1"
    assert Usage(input_tokens=9, output_tokens=2, cached_input_tokens=4) in events


async def test_what_it_does_not_take_is_refused_by_its_path(upstream):
    value = GenerationInput(model="fast", messages=LOOP.messages[:1], sampling=SamplingParams(choices=2))
    with pytest.raises(AttemptFailed) as caught:
        await ask(upstream, value)
    assert (caught.value.kind, caught.value.parameter) == (FailureKind.UNSUPPORTED, "input.sampling.choices")
    assert upstream.requests == []
