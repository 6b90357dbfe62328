"""llm, the command, with the stack named in its extra-openai-models.yaml."""

from __future__ import annotations

import base64
import json

from checks import (
    AT_LENGTH,
    BASE_URL,
    KEY,
    LONG,
    MODEL,
    PICTURE,
    PICTURE_SAID,
    REFUSED,
    SENTENCE,
    SLOWLY,
    TWICE,
    TWICE_SAID,
    check,
    equal,
    run,
)
from commands import HOME, interrupted, ran

folder = HOME / ".config" / "io.datasette.llm"
folder.mkdir(parents=True)
(folder / "extra-openai-models.yaml").write_text(
    f"- model_id: ours\n  model_name: {MODEL}\n  api_base: {BASE_URL}\n  api_key_name: ours\n"
    "  supports_tools: true\n  supports_schema: true\n  vision: true\n"
)
WEATHER = 'def weather(city: str) -> str:\n    """The weather in a city."""\n    return "rain in " + city\n'


@check
def prompt() -> None:
    ran("llm", "keys", "set", "ours", "--value", KEY)
    equal(ran("llm", "-m", "ours", "--no-stream", "What does a penstock do?"), SENTENCE)


@check
def stream_from_standard_input() -> None:
    equal(ran("llm", "-m", "ours", text="What does a penstock do?"), SENTENCE)


@check
def three_turns_of_tools() -> None:
    equal(ran("llm", "-m", "ours", "--functions", WEATHER, TWICE), TWICE_SAID)


@check
def structured_output() -> None:
    equal(
        json.loads(ran("llm", "-m", "ours", "--schema", "city, inhabitants int", "Where?")),
        {"city": "Oslo", "inhabitants": 7},
    )


@check
def picture() -> None:
    (HOME / "picture.png").write_bytes(base64.b64decode(PICTURE.partition(",")[2]))
    equal(ran("llm", "-m", "ours", "-a", str(HOME / "picture.png"), "What is it?"), PICTURE_SAID)


@check
def long_answer() -> None:
    equal(ran("llm", "-m", "ours", AT_LENGTH), LONG)


@check
def refusal_of_the_provider() -> None:
    said = ran("llm", "-m", "ours", "fail with 400", fails=True)
    assert REFUSED in said, said


@check
def leaving_a_stream() -> None:
    interrupted("llm", "-m", "ours", SLOWLY, once=lambda said: "water" in said)


run()
