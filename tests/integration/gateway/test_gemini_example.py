"""The example for Gemini: it is a valid configuration, and its endpoint's dialect is understood."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock_common.testing.openai_upstream import Body

EXAMPLE = Path(__file__).parents[3] / "deploy" / "examples" / "gemini.yaml"
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    """Return a chunk as Gemini's endpoint writes it: role and usage in each, and never an empty list of choices."""
    choice = {"delta": {"role": "assistant", **delta}, "finish_reason": finish_reason, "index": 0}
    usage = {"completion_tokens": 5, "prompt_tokens": 8, "total_tokens": 313}
    document = {
        "choices": [choice], "created": 1764000000, "id": "x", "model": "gemini-2.5-flash",
        "object": "chat.completion.chunk", "usage": usage,
    }  # fmt: skip
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def failure(code: int, **error: Any) -> Body:
    """Return an error as Gemini's endpoint writes it: in an array, in Google's own shape."""
    frame = json.dumps([{"error": {"code": code, **error}}]).encode()
    return Body(frames=[frame], status=code, content_type="application/json; charset=UTF-8")


@pytest.fixture
async def gemini(document: dict[str, Any], upstream: Any, serve: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example's upstream and model, served; ``upstream`` plays Google."""
    monkeypatch.setenv("GEMINI_API_KEY", "key-of-google")
    example = yaml.safe_load(EXAMPLE.read_text())
    (google,) = example["upstreams"]
    google["base_url"] = upstream.base_url
    document.update(upstreams=[google], models=example["models"])
    return await serve()


def test_example_is_a_valid_configuration(tmp_path: Path):
    command = [
        sys.executable,
        "-m",
        "penstock_suite",
        "config",
        "check",
        "--config",
        str(EXAMPLE),
        "--state",
        str(tmp_path),
        "--json",
    ]
    environment = {**os.environ, "GEMINI_API_KEY": "key-of-google"}
    checked = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "key-of-google" not in checked.stdout
    del environment["GEMINI_API_KEY"]
    without = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert without.returncode != 0
    assert "GEMINI_API_KEY" in without.stdout + without.stderr


async def test_answer_comes_back_whole_with_thoughts_billed_as_output(gemini, upstream):
    upstream.enqueue(Body(frames=[chunk({"content": "Hel"}), chunk({"content": "lo"}, "stop"), b"data: [DONE]\n\n"]))
    answered = await gemini.ask(model="gemini")
    assert answered.json["choices"][0]["message"]["content"] == "Hello"
    usage = answered.json["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (8, 305)
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 300
    # 8 tokens at 0.30 and 305 at 2.50 dollars a million.
    assert answered.header["x-penstock-cost-usd"] == "0.0007649"
    (request,) = upstream.requests
    assert request.path.endswith("/chat/completions")
    assert request.headers["authorization"] == "Bearer key-of-google"
    assert request.body["model"] == "gemini-2.5-flash"


async def test_parallel_tool_calls_with_the_same_index_stay_apart(gemini, upstream):
    calls = [
        {"index": 0, "id": f"call_{city}", "type": "function", "function": {"name": "weather", "arguments": f'{{"city":"{city}"}}'}}
        for city in ("Paris", "Rome")
    ]  # fmt: skip
    upstream.enqueue(Body(frames=[chunk({"tool_calls": calls}, "tool_calls"), b"data: [DONE]\n\n"]))
    answered = await gemini.ask(model="gemini", tools=[WEATHER])
    choice = answered.json["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert [(call["id"], call["function"]["arguments"]) for call in choice["message"]["tool_calls"]] == [
        ("call_Paris", '{"city":"Paris"}'),
        ("call_Rome", '{"city":"Rome"}'),
    ]


async def test_wrong_key_of_google_is_not_the_callers_mistake(gemini, upstream):
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    upstream.enqueue(*[failure(400, message="API key not valid.", status="INVALID_ARGUMENT", details=details)] * 4)
    answered = await gemini.ask(model="gemini")
    assert answered.status in (502, 503)
    assert "API key not valid" not in answered.body.decode()


async def test_conversation_beyond_the_window_says_both_numbers(gemini, upstream):
    message = "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576)."
    upstream.enqueue(*[failure(400, message=message, status="INVALID_ARGUMENT")] * 4)
    answered = await gemini.ask(model="gemini")
    assert (answered.status, answered.error["code"]) == (400, "context_length_exceeded")
    assert "1048576" in answered.error["message"]
