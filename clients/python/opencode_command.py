"""opencode, the coding agent, by chat completions."""

from __future__ import annotations

import base64
import json
import os

from checks import (
    AT_LENGTH,
    BASE_URL,
    CODE_MODEL,
    LONG,
    PICTURE,
    PICTURE_SAID,
    REFUSED,
    SENTENCE,
    SLOWLY,
    check,
    equal,
    run,
)
from commands import HOME, interrupted, ran

os.environ.update(
    {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"}
)
(HOME / "opencode.json").write_text(
    json.dumps(
        {
            "share": "disabled",
            "permission": "allow",
            "provider": {
                "penstock": {
                    "npm": "@ai-sdk/openai-compatible",
                    "options": {"baseURL": BASE_URL, "apiKey": "{env:PENSTOCK_KEY}"},
                    "models": {
                        CODE_MODEL: {
                            "attachment": True,
                            "tool_call": True,
                            "modalities": {"input": ["text", "image"], "output": ["text"]},
                        }
                    },
                }
            },
        }
    )
)
OPENCODE = ("opencode", "run", "--model", f"penstock/{CODE_MODEL}")
RUN = '{"command": "echo the-shell-was-here", "description": "Says it"}'


@check
def answer() -> None:
    equal(ran(*OPENCODE, "What does a penstock do?"), SENTENCE)


@check
def three_turns_of_tools() -> None:
    said = ran(*OPENCODE, text=f"call bash {RUN} twice")
    assert said.endswith("The tools say: the-shell-was-here\n; the-shell-was-here"), said


@check
def picture() -> None:
    (HOME / "picture.png").write_bytes(base64.b64decode(PICTURE.partition(",")[2]))
    equal(ran(*OPENCODE, "What is it?", "-f", str(HOME / "picture.png")), PICTURE_SAID)


@check
def long_answer() -> None:
    equal(ran(*OPENCODE, AT_LENGTH), LONG)


@check
def refusal_of_the_provider() -> None:
    said = ran(*OPENCODE, "fail with 400", fails=True)
    assert REFUSED in said, said


@check
def leaving_a_stream() -> None:
    interrupted(*OPENCODE, "--format", "json", SLOWLY, once=lambda said: "step_start" in said)


run()
