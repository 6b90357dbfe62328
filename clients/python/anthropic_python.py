"""anthropic for Python."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anthropic
from checks import KEY, MODEL, ORIGIN, PICTURE, SENTENCE, SPENT_KEY, check, equal, run

client = anthropic.Anthropic(base_url=ORIGIN, api_key=KEY, max_retries=0)
QUESTION: list[Any] = [{"role": "user", "content": "What does a penstock do?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[Any] = [{"name": name, "input_schema": SCHEMA} for name in ("weather", "time")]


def _ask(messages: list[Any] = QUESTION, **more: Any) -> Any:
    return client.messages.create(model=MODEL, max_tokens=200, messages=messages, **more)


@check
def message() -> None:
    answer = _ask()
    equal(answer.content[0].text, SENTENCE)
    equal(answer.stop_reason, "end_turn")
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


@check
def stream() -> None:
    with client.messages.stream(model=MODEL, max_tokens=200, messages=QUESTION) as answer:
        equal("".join(answer.text_stream), SENTENCE)
        assert answer.get_final_message().usage.output_tokens > 0


@check
async def asynchronous_stream() -> None:
    own = anthropic.AsyncAnthropic(base_url=ORIGIN, auth_token=KEY, max_retries=0)
    async with own, own.messages.stream(model=MODEL, max_tokens=200, messages=QUESTION) as answer:
        equal(await answer.get_final_text(), SENTENCE)


@check
def two_tools_and_their_results() -> None:
    with client.messages.stream(model=MODEL, max_tokens=200, messages=QUESTION, tools=TOOLS) as answer:
        called = answer.get_final_message()
    calls = [block for block in called.content if block.type == "tool_use"]
    equal([call.name for call in calls], ["weather", "time"])
    equal(called.stop_reason, "tool_use")
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"{call.id} done"} for call in calls]
    last = _ask(
        [*QUESTION, {"role": "assistant", "content": called.content}, {"role": "user", "content": results}], tools=TOOLS
    )
    equal(last.content[0].text, "The tools say: call_0 done; call_1 done")


@check
def picture() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE.partition(",")[2]}
    asked = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    assert _ask([{"role": "user", "content": asked}]).content[0].text


@check
def tokens() -> None:
    assert client.messages.count_tokens(model=MODEL, messages=QUESTION).input_tokens > 0


@check
def models() -> None:
    assert MODEL in [model.id for model in client.models.list()]
    equal(client.models.retrieve(MODEL).id, MODEL)


def _refused(kind: type[anthropic.APIStatusError], own: anthropic.Anthropic = client, **asked: Any) -> Any:
    try:
        own.messages.create(**{"model": MODEL, "max_tokens": 9, "messages": QUESTION, **asked})
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


@check
def errors_as_the_sdks_own() -> None:
    assert _refused(anthropic.AuthenticationError, client.with_options(api_key="sk-wrong")).request_id
    assert _refused(anthropic.NotFoundError, model="none").request_id
    assert _refused(anthropic.BadRequestError, max_tokens=0).request_id


@check
def rate_limit_is_a_rate_limit_error_with_a_delay() -> None:
    spent = client.with_options(api_key=SPENT_KEY)
    with suppress(anthropic.RateLimitError):
        spent.messages.create(model=MODEL, max_tokens=9, messages=QUESTION)
    error = _refused(anthropic.RateLimitError, spent)
    assert int(error.response.headers["retry-after"]) > 0


run()
