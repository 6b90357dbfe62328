"""The stack that clients are run against, started as a user starts it, before a provider of one kind."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from answering import LONG_SENTENCES, PICTURE_SAID, SENTENCE, AnsweringProvider
from environments import ROOT

from penstock_common.testing.ports import free_port

KEY = "clients-key-clients-key-clients-key"
SPENT_KEY = "spent-key-spent-key-spent-key-spent"
DEMO_MODEL = "penstock-demo"
"""What the snippets of the docs ask."""
UPSTREAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai_compatible": ("openai", {}),
    "openai": ("openai_responses", {"api": "responses"}),
    "anthropic": ("anthropic", {}),
    "gemini": ("gemini", {}),
}
"""By the name of the provider: the wire that it speaks, and what else its configuration says."""
_READY_SECONDS = 120


@asynccontextmanager
async def stack(kind: str, provider: AnsweringProvider) -> AsyncGenerator[dict[str, str]]:
    """Yield what a client's script must know of a stack that runs meanwhile."""
    state = Path(tempfile.mkdtemp(prefix="penstock-clients-"))
    http, grpc = free_port(), free_port()
    listen = {"http": f"127.0.0.1:{http}", "grpc": f"127.0.0.1:{grpc}"}
    configuration = state / "penstock.yaml"
    configuration.write_text(json.dumps({"listen": listen, **document(kind, provider), **_others(provider)}))
    log = (state / "log").open("w")
    arguments = ["up", "--config", str(configuration), "--state", str(state / "state"), "--without-triton", "--json"]
    program = str(Path(sys.executable).parent / "penstock")
    process = await asyncio.create_subprocess_exec(program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=log)
    try:
        if not await asyncio.wait_for(_becomes_ready(process), _READY_SECONDS):
            raise SystemExit(f"the stack did not start:\n{(state / 'log').read_text()[-2000:]}")
        yield {
            "PENSTOCK_BASE_URL": f"http://127.0.0.1:{http}/v1",
            "PENSTOCK_GRPC": f"127.0.0.1:{grpc}",
            "PENSTOCK_KEY": KEY,
            "PENSTOCK_SPENT_KEY": SPENT_KEY,
            "PENSTOCK_MODEL": "fast",
            # Some clients try reasoning where a name promises it, and nowhere else.
            "PENSTOCK_REASONING_MODEL": "gpt-5-mini",
            "PENSTOCK_CLAUDE_MODEL": "claude-sonnet-4-5",
            "PENSTOCK_EMBEDDING_MODEL": "vectors",
            "PENSTOCK_SENTENCE": SENTENCE,
            "PENSTOCK_PICTURE_SAID": PICTURE_SAID,
            "PENSTOCK_LONG_SENTENCES": str(LONG_SENTENCES),
            "PENSTOCK_DESCRIPTORS": str(ROOT / "proto" / "python" / "penstock" / "descriptors.binpb"),
        }
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
        log.close()
        shutil.rmtree(state)


async def _becomes_ready(process: asyncio.subprocess.Process) -> bool:
    assert process.stdout is not None, "it is a pipe"
    while line := await process.stdout.readline():
        if json.loads(line).get("event") == "ready":
            return True
    return False


def document(kind: str, provider: AnsweringProvider) -> dict[str, Any]:
    """Return the part of a configuration that names the provider and its models."""
    wire, more = UPSTREAMS[kind]
    model = {
        "name": "m",
        "context_window": 200_000,
        "capabilities": ["chat", "tools", "json_schema", "vision", "reasoning"],
        "price": {"input": 1, "output": 2},
    }
    upstream = {"name": "u", "provider": kind, "base_url": provider.base_url_of(wire), "api_key": "k", **more}
    # Agents ask for more than most models have.
    asks_for_more = [{"name": name, "candidates": ["u/m"], "unsupported": "drop"} for name in ("code", "gpt-5-mini")]
    names = ("fast", "claude-sonnet-4-5", DEMO_MODEL)
    # LangChain and others ask for one call at a time, which Gemini has no word for.
    unsupported = "drop" if kind == "gemini" else "refuse"
    return {
        "upstreams": [{**upstream, "models": [model]}],
        "models": [
            *({"name": name, "candidates": ["u/m"], "unsupported": unsupported} for name in names),
            *asks_for_more,
        ],
    }


def _others(provider: AnsweringProvider) -> dict[str, Any]:
    return {
        "embedding": {
            "model": "vectors",
            "runtime": "provider",
            "provider": {"base_url": provider.base_url, "api_key": "k", "model": "v"},
        },
        "cache": {"mode": "off"},
        "tenants": [
            {"name": "clients", "tier": {"requests_per_minute": 1_000_000}, "keys": [KEY]},
            {"name": "spent", "tier": {"requests_per_minute": 1}, "keys": [SPENT_KEY]},
        ],
    }
