"""instructor, in its modes for OpenAI's formats and for Anthropic's."""

from __future__ import annotations

from typing import Any

import anthropic
import instructor
import openai
from checks import BASE_URL, KEY, MODEL, ORIGIN, REFUSED, check, equal, refused, run
from pydantic import BaseModel

QUESTION: list[Any] = [{"role": "user", "content": "Where?"}]
own = openai.OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
claude = anthropic.Anthropic(base_url=ORIGIN, api_key=KEY, max_retries=0)


class Place(BaseModel):
    """What is asked for."""

    city: str
    inhabitants: int


def ask(client: Any, **more: Any) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, response_model=Place, max_retries=0, **more)
    equal((answer.city, answer.inhabitants), ("Oslo", 7))


@check
def by_tools() -> None:
    ask(instructor.from_openai(own, mode=instructor.Mode.TOOLS))


@check
def by_json() -> None:
    ask(instructor.from_openai(own, mode=instructor.Mode.JSON))


@check
def by_json_schema() -> None:
    ask(instructor.from_openai(own, mode=instructor.Mode.JSON_SCHEMA))


@check
def by_tools_of_responses() -> None:
    ask(instructor.from_openai(own, mode=instructor.Mode.RESPONSES_TOOLS))


@check
def by_tools_of_anthropics_format() -> None:
    ask(instructor.from_anthropic(claude, mode=instructor.Mode.ANTHROPIC_TOOLS), max_tokens=200)


@check
def by_json_of_anthropics_format() -> None:
    ask(instructor.from_anthropic(claude, mode=instructor.Mode.ANTHROPIC_JSON), max_tokens=200)


@check
def partial_stream() -> None:
    client = instructor.from_openai(own)
    *_, last = client.chat.completions.create_partial(model=MODEL, messages=QUESTION, response_model=Place)
    equal((last.city, last.inhabitants), ("Oslo", 7))


@check
def refusal_of_the_provider() -> None:
    client = instructor.from_openai(own)
    asked: list[Any] = [{"role": "user", "content": "fail with 400"}]
    error = refused(
        Exception,
        lambda: client.chat.completions.create(model=MODEL, messages=asked, response_model=Place, max_retries=0),
    )
    assert REFUSED in str(error), error


run()
