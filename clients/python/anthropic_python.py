"""anthropic for Python."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anthropic
from checks import (
    AT_LENGTH,
    KEY,
    LONG,
    MODEL,
    ORIGIN,
    PICTURE,
    PICTURE_SAID,
    REFUSED,
    SENTENCE,
    SLOWLY,
    SPENT_KEY,
    TWICE,
    TWICE_SAID,
    check,
    equal,
    refused,
    run,
)
from pydantic import BaseModel

client = anthropic.Anthropic(base_url=ORIGIN, api_key=KEY, max_retries=0)
QUESTION: list[Any] = [{"role": "user", "content": "What does a penstock do?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[Any] = [{"name": name, "input_schema": SCHEMA} for name in ("weather", "time")]


class Place(BaseModel):
    """What is asked for as structured output."""

    city: str
    inhabitants: int


def _said(content: Any) -> list[Any]:
    return [{"role": "user", "content": content}]


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
def three_turns_of_tools() -> None:
    messages: list[Any] = _said(TWICE)
    for _ in "123":
        answer = _ask(messages, tools=TOOLS[:1])
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "rain in Oslo"}
            for block in answer.content
            if block.type == "tool_use"
        ]
        messages += [{"role": "assistant", "content": answer.content}, *_said(results)]
    equal(answer.content[0].text, TWICE_SAID)


@check
def structured_output() -> None:
    answer = client.messages.parse(model=MODEL, max_tokens=200, messages=QUESTION, output_format=Place)
    equal(answer.parsed_output, Place(city="Oslo", inhabitants=7))


@check
def thinking() -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    answer = client.messages.create(model=MODEL, max_tokens=2000, messages=QUESTION, thinking=thinking)
    thought, text = answer.content
    equal((thought.type, text.text), ("thinking", SENTENCE))


@check
def long_answer() -> None:
    with client.messages.stream(model=MODEL, max_tokens=20_000, messages=_said(AT_LENGTH)) as answer:
        equal(answer.get_final_text(), LONG)


@check
def picture() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE.partition(",")[2]}
    asked = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    equal(_ask([{"role": "user", "content": asked}]).content[0].text, PICTURE_SAID)


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


@check
def refusal_of_the_provider() -> None:
    error = refused(anthropic.BadRequestError, lambda: _ask(_said("fail with 400")))
    assert REFUSED in error.message, error.message


@check
def error_within_a_stream() -> None:
    stream = _ask(_said("fail midway"), stream=True)
    refused(anthropic.APIError, lambda: list(stream))


@check
def leaving_a_stream() -> None:
    with client.messages.stream(model=MODEL, max_tokens=20_000, messages=_said(SLOWLY)) as answer:
        next(iter(answer.text_stream))


run()
