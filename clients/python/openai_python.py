"""openai for Python."""

from __future__ import annotations

from typing import Any

import openai
from checks import (
    AT_LENGTH,
    BASE_URL,
    EMBEDDING_MODEL,
    KEY,
    LONG,
    MODEL,
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

client = openai.OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
QUESTION: list[Any] = [{"role": "user", "content": "What does a penstock do?"}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    for name in ("weather", "time")
]


def _said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


class Place(BaseModel):
    """What is asked for as structured output."""

    city: str
    inhabitants: int


@check
def chat() -> None:
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION)
    equal(answer.choices[0].message.content, SENTENCE)
    equal(answer.choices[0].finish_reason, "stop")
    assert answer.usage and answer.usage.total_tokens > 0


@check
def stream_with_usage() -> None:
    text, usage = "", None
    stream = client.chat.completions.create(
        model=MODEL, messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    equal(text, SENTENCE)
    assert usage and usage.total_tokens > 0


@check
async def asynchronous_stream() -> None:
    async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0) as own:
        stream = await own.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
        equal("".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]), SENTENCE)


@check
def two_tools_and_their_results() -> None:
    messages = list(QUESTION)
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    calls = answer.choices[0].message.tool_calls or []
    equal([call.function.name for call in calls if call.type == "function"], ["weather", "time"])
    messages.append(answer.choices[0].message)
    messages += [{"role": "tool", "tool_call_id": call.id, "content": f"{call.id} done"} for call in calls]
    last = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    equal(last.choices[0].message.content, "The tools say: call_0 done; call_1 done")


@check
def streamed_tools() -> None:
    with client.chat.completions.stream(model=MODEL, messages=QUESTION, tools=TOOLS) as stream:
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    equal([call.function.arguments for call in calls], ['{"city": "Oslo"}'] * 2)


@check
def three_turns_of_tools() -> None:
    messages: list[Any] = _said(TWICE)
    for _ in "123":
        answer = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS[:1]).choices[0].message
        messages.append(answer)
        messages.extend(
            {"role": "tool", "tool_call_id": call.id, "content": "rain in Oslo"} for call in answer.tool_calls or []
        )
    equal(messages[-1].content, TWICE_SAID)


@check
def structured_output() -> None:
    answer = client.chat.completions.parse(model=MODEL, messages=QUESTION, response_format=Place)
    equal(answer.choices[0].message.parsed, Place(city="Oslo", inhabitants=7))


@check
def picture() -> None:
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    messages: list[Any] = [{"role": "user", "content": content}]
    equal(client.chat.completions.create(model=MODEL, messages=messages).choices[0].message.content, PICTURE_SAID)


@check
def embeddings() -> None:
    answer = client.embeddings.create(model=EMBEDDING_MODEL, input=["one", "two"])
    equal([len(each.embedding) for each in answer.data], [8, 8])


@check
def models() -> None:
    assert MODEL in [model.id for model in client.models.list()]
    equal(client.models.retrieve(MODEL).id, MODEL)


@check
def headers_of_the_answer() -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION)
    assert raw.headers["x-request-id"] and raw.headers["x-ratelimit-limit-requests"]


@check
def wrong_key_is_an_authentication_error() -> None:
    refused(openai.AuthenticationError, client.with_options(api_key="sk-wrong").models.list)


@check
def unknown_model_is_a_not_found_error() -> None:
    error = refused(openai.NotFoundError, lambda: client.chat.completions.create(model="none", messages=QUESTION))
    equal(error.code, "model_not_found")


@check
def bad_field_is_a_bad_request_error_with_its_name() -> None:
    error = refused(
        openai.BadRequestError,
        lambda: client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=9),
    )
    equal(error.param, "temperature")


@check
def rate_limit_is_a_rate_limit_error_with_a_delay() -> None:
    spent = client.with_options(api_key=SPENT_KEY)
    error = refused(
        openai.RateLimitError, lambda: [spent.chat.completions.create(model=MODEL, messages=QUESTION) for _ in "12"]
    )
    assert int(error.response.headers["retry-after"]) > 0


@check
def timeout_is_a_timeout_error() -> None:
    slow: list[Any] = [{"role": "user", "content": "patience"}]
    refused(
        openai.APITimeoutError,
        lambda: client.with_options(timeout=1).chat.completions.create(model=MODEL, messages=slow),
    )


@check
def long_answer() -> None:
    with client.chat.completions.stream(model=MODEL, messages=_said(AT_LENGTH)) as stream:
        equal(stream.get_final_completion().choices[0].message.content, LONG)


@check
def refusal_of_the_provider() -> None:
    question = _said("fail with 400")
    error = refused(openai.BadRequestError, lambda: client.chat.completions.create(model=MODEL, messages=question))
    assert REFUSED in error.message, error.message


@check
def error_within_a_stream() -> None:
    question = _said("fail midway")
    stream = client.chat.completions.create(model=MODEL, messages=question, stream=True)
    refused(openai.APIError, lambda: list(stream))


@check
def leaving_a_stream() -> None:
    with client.chat.completions.create(model=MODEL, messages=_said(SLOWLY), stream=True) as stream:
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break


run()
