"""What LangChain's models do, whichever package they come from."""

from __future__ import annotations

from typing import Any

from checks import (
    AT_LENGTH,
    LONG,
    PICTURE,
    PICTURE_SAID,
    REFUSED,
    SENTENCE,
    SLOWLY,
    TWICE,
    TWICE_SAID,
    check,
    equal,
    refused_later,
)
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel


class Place(BaseModel):
    """What is asked for as structured output."""

    city: str
    inhabitants: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


def _text(message: Any) -> str:
    return str(message.text)


def check_model(model: Any, methods: tuple[str, ...]) -> None:
    """Gather the checks of one model; ``methods`` are its ways to structured output."""

    @check
    def chat() -> None:
        answer = model.invoke("What does a penstock do?")
        equal(_text(answer), SENTENCE)
        assert answer.usage_metadata and answer.usage_metadata["total_tokens"] > 0

    @check
    def stream() -> None:
        equal("".join(_text(chunk) for chunk in model.stream("What does a penstock do?")), SENTENCE)

    @check
    async def asynchronous_stream() -> None:
        equal("".join([_text(chunk) async for chunk in model.astream("Hello")]), SENTENCE)

    @check
    def three_turns_of_tools() -> None:
        bound = model.bind_tools([weather])
        messages: list[Any] = [HumanMessage(TWICE)]
        for _ in "123":
            answer = bound.invoke(messages)
            results = [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in answer.tool_calls]
            messages += [answer, *results]
        equal(_text(answer), TWICE_SAID)

    @check
    def structured_output() -> None:
        for method in methods:
            found = model.with_structured_output(Place, method=method).invoke("Where?")
            equal(found, Place(city="Oslo", inhabitants=7))

    @check
    def picture() -> None:
        parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
        equal(_text(model.invoke([HumanMessage(parts)])), PICTURE_SAID)

    @check
    def long_answer() -> None:
        equal("".join(_text(chunk) for chunk in model.stream(AT_LENGTH)), LONG)

    @check
    async def refusal_of_the_provider() -> None:
        error = await refused_later(Exception, lambda: model.ainvoke("fail with 400"))
        assert REFUSED in str(error), error

    @check
    async def leaving_a_stream() -> None:
        stream = model.astream(SLOWLY)
        async for chunk in stream:
            if _text(chunk):
                break
        await stream.aclose()
