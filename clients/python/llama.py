"""What LlamaIndex' models do, whichever package they come from."""

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
    check,
    equal,
    refused_later,
)
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

QUESTION = [ChatMessage(role="user", content="What does a penstock do?")]


class Place(BaseModel):
    """What is asked for as structured output."""

    city: str
    inhabitants: int


def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


def check_model(model: Any, *, sees: bool = True) -> None:
    """Gather the checks of one model; ``sees``: whether the package shows pictures to it."""

    @check
    def chat() -> None:
        equal(model.chat(QUESTION).message.content, SENTENCE)

    @check
    def completion_as_a_chat() -> None:
        equal(model.complete("What does a penstock do?").text, SENTENCE)

    @check
    def stream() -> None:
        equal("".join(part.delta or "" for part in model.stream_chat(QUESTION)), SENTENCE)

    @check
    async def asynchronous_stream() -> None:
        equal("".join([part.delta or "" async for part in await model.astream_chat(QUESTION)]), SENTENCE)

    @check
    def tools() -> None:
        answer = model.predict_and_call([FunctionTool.from_defaults(weather)], "How is the weather?")
        equal(str(answer), "rain in Oslo")

    @check
    async def three_turns_of_tools() -> None:
        agent = FunctionAgent(tools=[weather], llm=model)
        equal(str(await agent.run("How is the weather? Ask twice.")), "The tools say: rain in Oslo; rain in Oslo")

    @check
    def structured_output() -> None:
        equal(model.structured_predict(Place, PromptTemplate("Where?")), Place(city="Oslo", inhabitants=7))

    @check
    def long_answer() -> None:
        asked = [ChatMessage(role="user", content=AT_LENGTH)]
        equal("".join(part.delta or "" for part in model.stream_chat(asked)), LONG)

    @check
    async def refusal_of_the_provider() -> None:
        error = await refused_later(Exception, lambda: model.achat([ChatMessage(role="user", content="fail with 400")]))
        assert REFUSED in str(error), error

    @check
    async def leaving_a_stream() -> None:
        stream = await model.astream_chat([ChatMessage(role="user", content=SLOWLY)])
        async for part in stream:
            if part.delta:
                break
        await stream.aclose()

    if sees:

        @check
        def picture() -> None:
            blocks = [TextBlock(text="What?"), ImageBlock(url=PICTURE)]
            equal(model.chat([ChatMessage(role="user", blocks=blocks)]).message.content, PICTURE_SAID)
