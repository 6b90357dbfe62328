"""What pydantic-ai's agents do, over whichever of its models."""

from __future__ import annotations

import base64
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
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError


class Place(BaseModel):
    """What is asked for as structured output."""

    city: str
    inhabitants: int


def check_model(model: Any) -> None:
    """Gather the checks of one model."""

    @check
    async def chat() -> None:
        result = await Agent(model).run("What does a penstock do?")
        equal(result.output, SENTENCE)

    @check
    async def stream() -> None:
        async with Agent(model).run_stream("What does a penstock do?") as result:
            equal(await result.get_output(), SENTENCE)

    @check
    async def three_turns_of_tools() -> None:
        agent = Agent(model)

        @agent.tool_plain
        def weather(city: str) -> str:
            """The weather in a city."""
            return f"rain in {city}"

        equal((await agent.run(TWICE)).output, TWICE_SAID)

    @check
    async def structured_output_by_a_tool() -> None:
        equal((await Agent(model, output_type=Place).run("Where?")).output, Place(city="Oslo", inhabitants=7))

    @check
    async def structured_output_by_a_schema() -> None:
        result = await Agent(model, output_type=NativeOutput(Place)).run("Where?")
        equal(result.output, Place(city="Oslo", inhabitants=7))

    @check
    async def picture() -> None:
        shown = BinaryContent(base64.b64decode(PICTURE.partition(",")[2]), media_type="image/png")
        equal((await Agent(model).run(["What?", shown])).output, PICTURE_SAID)

    @check
    async def long_answer() -> None:
        async with Agent(model).run_stream(AT_LENGTH) as result:
            equal(await result.get_output(), LONG)

    @check
    async def refusal_of_the_provider() -> None:
        error = await refused_later(ModelHTTPError, lambda: Agent(model).run("fail with 400"))
        assert error.status_code == 400 and REFUSED in str(error.body), error

    @check
    async def leaving_a_stream() -> None:
        async with Agent(model).run_stream(SLOWLY) as result:
            async for text in result.stream_text(debounce_by=None):
                if text:
                    break
            await result.cancel()
