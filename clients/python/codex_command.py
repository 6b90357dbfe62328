"""Codex, the coding agent, by Responses."""

from __future__ import annotations

import base64
import json

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

folder = HOME / ".codex"
folder.mkdir()
(folder / "config.toml").write_text(f"""
model = "{CODE_MODEL}"
model_provider = "penstock"
check_for_update_on_startup = false
[analytics]
enabled = false
[feedback]
enabled = false
[model_providers.penstock]
name = "Penstock"
base_url = "{BASE_URL}"
env_key = "PENSTOCK_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
""")
CODEX = ("codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
RUN = '{"cmd": "echo the-shell-was-here"}'


@check
def answer() -> None:
    equal(ran(*CODEX, "What does a penstock do?"), SENTENCE)


@check
def three_turns_of_tools() -> None:
    said = ran(*CODEX, f"call exec_command {RUN} twice")
    equal(said.count("the-shell-was-here"), 2)


@check
def structured_output() -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "inhabitants": {"type": "integer"}},
        "required": ["city", "inhabitants"],
        "additionalProperties": False,
    }
    (HOME / "schema.json").write_text(json.dumps(schema))
    said = ran(*CODEX, "--output-schema", str(HOME / "schema.json"), "Where?")
    equal(json.loads(said), {"city": "Oslo", "inhabitants": 7})


@check
def picture() -> None:
    (HOME / "picture.png").write_bytes(base64.b64decode(PICTURE.partition(",")[2]))
    equal(ran(*CODEX, "-i", str(HOME / "picture.png"), "--", "What is it?"), PICTURE_SAID)


@check
def long_answer() -> None:
    equal(ran(*CODEX, AT_LENGTH), LONG)


@check
def a_conversation_is_gone_on_with() -> None:
    ran(*CODEX, "What does a penstock do?")
    equal(ran(*CODEX, "resume", "--last", "And what else?"), SENTENCE)


@check
def refusal_of_the_provider() -> None:
    said = ran(*CODEX, "fail with 400", fails=True)
    assert REFUSED in said, said


@check
def leaving_a_stream() -> None:
    interrupted(*CODEX, "--json", SLOWLY, once=lambda said: "turn.started" in said)


run()
