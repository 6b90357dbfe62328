"""openai for Python, by Responses."""

from __future__ import annotations

from typing import Any

import openai
from checks import (
    AT_LENGTH,
    BASE_URL,
    KEY,
    LONG,
    MODEL,
    PICTURE,
    PICTURE_SAID,
    REASONING_MODEL,
    REFUSED,
    SENTENCE,
    SLOWLY,
    TWICE,
    TWICE_SAID,
    check,
    equal,
    refused,
    run,
)
from pydantic import BaseModel

client = openai.OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
QUESTION = "What does a penstock do?"
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Place(BaseModel):
    """What is asked for as structured output."""

    city: str
    inhabitants: int


def _ask(given: Any = QUESTION, **more: Any) -> Any:
    return client.responses.create(model=MODEL, input=given, **more)


def _results(response: Any) -> list[Any]:
    return [
        {"type": "function_call_output", "call_id": item.call_id, "output": "rain in Oslo"}
        for item in response.output
        if item.type == "function_call"
    ]


@check
def response() -> None:
    answer = _ask(store=False)
    equal((answer.output_text, answer.status), (SENTENCE, "completed"))
    assert answer.usage and answer.usage.total_tokens > 0


@check
def stream() -> None:
    with client.responses.stream(model=MODEL, input=QUESTION) as answer:
        text = "".join(event.delta for event in answer if event.type == "response.output_text.delta")
        equal((text, answer.get_final_response().output_text), (SENTENCE, SENTENCE))


@check
async def asynchronous_stream() -> None:
    async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0) as own:
        answer = await own.responses.create(model=MODEL, input=QUESTION, stream=True)
        equal([event.type async for event in answer][-1], "response.completed")


@check
def three_turns_of_tools() -> None:
    given: list[Any] = [{"role": "user", "content": TWICE}]
    for _ in "123":
        answer = _ask(given, tools=[WEATHER], store=False)
        given += [*answer.output, *_results(answer)]
    equal(answer.output_text, TWICE_SAID)


@check
def three_turns_of_tools_by_the_previous_response() -> None:
    answer = _ask(TWICE, tools=[WEATHER])
    while results := _results(answer):
        answer = _ask(results, tools=[WEATHER], previous_response_id=answer.id)
    equal(answer.output_text, TWICE_SAID)
    equal(client.responses.retrieve(answer.id).output_text, TWICE_SAID)
    client.responses.delete(answer.id)
    refused(openai.NotFoundError, lambda: client.responses.retrieve(answer.id))


@check
def structured_output() -> None:
    answer = client.responses.parse(model=MODEL, input=QUESTION, text_format=Place)
    equal(answer.output_parsed, Place(city="Oslo", inhabitants=7))


@check
def picture() -> None:
    content = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": PICTURE}]
    equal(_ask([{"role": "user", "content": content}]).output_text, PICTURE_SAID)


@check
def reasoning() -> None:
    answer = client.responses.create(
        model=REASONING_MODEL, input=QUESTION, reasoning={"effort": "low", "summary": "auto"}, store=False
    )
    equal([item.type for item in answer.output], ["reasoning", "message"])


@check
def long_answer() -> None:
    with client.responses.stream(model=MODEL, input=AT_LENGTH) as answer:
        equal(answer.get_final_response().output_text, LONG)


@check
def refusal_of_the_provider() -> None:
    assert REFUSED in refused(openai.BadRequestError, lambda: _ask("fail with 400")).message


@check
def unknown_model_is_a_not_found_error() -> None:
    refused(openai.NotFoundError, lambda: client.responses.create(model="none", input=QUESTION))


@check
def error_within_a_stream() -> None:
    kinds: list[str] = []
    try:
        kinds += [event.type for event in _ask("fail midway", stream=True)]
    except openai.APIError:
        return
    assert "response.failed" in kinds, kinds[-2:]


@check
def leaving_a_stream() -> None:
    with _ask(SLOWLY, stream=True) as answer:
        for event in answer:
            if event.type == "response.output_text.delta":
                break


run()
