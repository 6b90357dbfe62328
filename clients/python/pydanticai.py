"""pydantic-ai: its agents, over chat completions."""

from __future__ import annotations

from checks import BASE_URL, KEY, MODEL, SENTENCE, check, equal, run
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=BASE_URL, api_key=KEY))


class Place(BaseModel):
    """What is asked for as structured output."""

    city: str
    inhabitants: int


@check
async def chat() -> None:
    result = await Agent(model).run("What does a penstock do?")
    equal(result.output, SENTENCE)


@check
async def stream() -> None:
    async with Agent(model).run_stream("What does a penstock do?") as result:
        equal(await result.get_output(), SENTENCE)


@check
async def agent_with_a_tool() -> None:
    agent = Agent(model)

    @agent.tool_plain
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"rain in {city}"

    equal((await agent.run("How is the weather?")).output, "The tools say: rain in Oslo")


@check
async def structured_output() -> None:
    equal((await Agent(model, output_type=Place).run("Where?")).output, Place(city="Oslo", inhabitants=7))


run()
