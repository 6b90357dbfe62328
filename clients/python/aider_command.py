"""aider, by chat completions: it edits files by what it is told, and calls no tools."""

from __future__ import annotations

import base64
import json
import os

from checks import AT_LENGTH, BASE_URL, KEY, MODEL, PICTURE, PICTURE_SAID, SENTENCE, SLOWLY, check, run
from commands import HOME, interrupted, ran

os.environ.update({"OPENAI_API_BASE": BASE_URL, "OPENAI_API_KEY": KEY})
AIDER = (
    "aider", "--model", f"openai/{MODEL}", "--no-show-model-warnings", "--no-check-update", "--analytics-disable", "--no-git",
    "--yes-always", "--no-pretty", "--no-show-release-notes", "--map-tokens", "0", "--message",
)  # fmt: skip


def _said(*arguments: str) -> str:
    return " ".join(ran(*AIDER, *arguments).split())


@check
def whole_answer() -> None:
    assert SENTENCE in _said("/ask What does a penstock do?", "--no-stream")


@check
def stream() -> None:
    assert SENTENCE in _said("/ask What does a penstock do?")


@check
def edit_of_a_file() -> None:
    _said("say <<<place.txt\n```\nOslo\n```\n>>>", "--edit-format", "whole")
    assert (HOME / "place.txt").read_text() == "Oslo\n"


@check
def picture() -> None:
    (HOME / "picture.png").write_bytes(base64.b64decode(PICTURE.partition(",")[2]))
    (HOME / ".aider.model.metadata.json").write_text(
        json.dumps({f"openai/{MODEL}": {"litellm_provider": "openai", "mode": "chat", "supports_vision": True}})
    )
    assert PICTURE_SAID in _said("/ask What is it?", "--file", "picture.png")


@check
def long_answer() -> None:
    assert _said(f"/ask {AT_LENGTH}").count(SENTENCE) > 300


@check
def wrong_key_is_told() -> None:
    # What a provider refuses, aider asks for again and again, for a minute.
    said = ran(*AIDER, "/ask What does a penstock do?", "--openai-api-key", "sk-wrong", fails=True)
    assert "AuthenticationError" in said, said


@check
def leaving_a_stream() -> None:
    interrupted(*AIDER, f"/ask {SLOWLY}", once=lambda said: "water" in said)


run()
