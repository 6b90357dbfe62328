"""instructor, in its modes for OpenAI's format."""

from __future__ import annotations

import instructor
import openai
from checks import BASE_URL, KEY, MODEL, check, equal, run
from pydantic import BaseModel

QUESTION = [{"role": "user", "content": "Where?"}]


class Place(BaseModel):
    """What is asked for."""

    city: str
    inhabitants: int


def ask(mode: instructor.Mode) -> None:
    client = instructor.from_openai(openai.OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0), mode=mode)
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, response_model=Place, max_retries=0)
    equal((answer.city, answer.inhabitants), ("Oslo", 7))


@check
def by_tools() -> None:
    ask(instructor.Mode.TOOLS)


@check
def by_json() -> None:
    ask(instructor.Mode.JSON)


@check
def by_json_schema() -> None:
    ask(instructor.Mode.JSON_SCHEMA)


@check
def partial_stream() -> None:
    client = instructor.from_openai(openai.OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0))
    *_, last = client.chat.completions.create_partial(model=MODEL, messages=QUESTION, response_model=Place)
    equal((last.city, last.inhabitants), ("Oslo", 7))


run()
