"""Runs the clients that people have against the real stack, unchanged but for a base URL and a key.

The stack is started as a user starts it, with one upstream that speaks OpenAI's format over a socket (provider.py).
Every client is fetched from its registry in the version that catalogue.py names. What each did is printed, and with
``--publish`` becomes docs/clients.md. Exit 1 where a check failed or, with ``--all``, a client could not be had.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalogue import CLIENTS, Client
from installing import ROOT, NotInstalled, command, installed, search_path
from provider import SENTENCE, provider

from penstock_common.testing.ports import free_port

KEY = "clients-key-clients-key-clients-key"
SPENT_KEY = "spent-key-spent-key-spent-key-spent"
PAGE = ROOT / "docs" / "clients.md"
_READY_SECONDS = 120
_MOST_SECONDS = 1800


@dataclass
class Outcome:
    """What a client did: its checks with their errors, "" where one passed; or why it did not run."""

    client: Client
    checks: dict[str, str] = field(default_factory=dict)
    not_run: str = ""
    log: str = ""

    @property
    def passed(self) -> bool:
        """Whether it ran, and everything passed."""
        return not self.not_run and bool(self.checks) and not any(self.checks.values())


@asynccontextmanager
async def stack(upstream: str) -> AsyncGenerator[dict[str, str]]:
    """Yield what a client's script must know of a stack that runs meanwhile."""
    state = Path(tempfile.mkdtemp(prefix="penstock-clients-"))
    http, grpc = free_port(), free_port()
    configuration = state / "penstock.yaml"
    configuration.write_text(json.dumps(_configuration(upstream, http, grpc)))
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
            "PENSTOCK_CLAUDE_MODEL": "claude-opus-demo",
            "PENSTOCK_EMBEDDING_MODEL": "vectors",
            "PENSTOCK_SENTENCE": SENTENCE,
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


def _configuration(upstream: str, http: int, grpc: int) -> dict[str, Any]:
    model = {
        "name": "m",
        "context_window": 32768,
        "capabilities": ["chat", "tools", "json_schema", "vision", "reasoning"],
        "price": {"input": 1, "output": 2},
    }
    return {
        "listen": {"http": f"127.0.0.1:{http}", "grpc": f"127.0.0.1:{grpc}"},
        "upstreams": [
            {"name": "u", "provider": "openai_compatible", "base_url": upstream, "api_key": "k", "models": [model]},
            {"name": "o", "provider": "openai", "base_url": upstream, "api_key": "k", "models": [model]},
        ],
        "models": [
            {"name": "fast", "candidates": ["u/m"]},
            {"name": "gpt-5-mini", "candidates": ["o/m"]},
            {"name": "claude-opus-demo", "candidates": ["u/m"]},
        ],
        "embedding": {
            "model": "vectors",
            "runtime": "provider",
            "provider": {"base_url": upstream, "api_key": "k", "model": "v"},
        },
        "cache": {"mode": "off"},
        "tenants": [
            {"name": "clients", "tier": {"requests_per_minute": 1_000_000}, "keys": [KEY]},
            {"name": "spent", "tier": {"requests_per_minute": 1}, "keys": [SPENT_KEY]},
        ],
    }


async def run(client: Client, known: dict[str, str]) -> Outcome:
    """Return what one client did."""
    try:
        folder = await asyncio.to_thread(installed, client)
    except NotInstalled as error:
        return Outcome(client, not_run=str(error))
    environment = {**os.environ, **known, "PATH": search_path(client, folder)}
    process = await asyncio.create_subprocess_exec(
        *command(client, folder), env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), _MOST_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return Outcome(client, {"the whole script": f"did not end in {_MOST_SECONDS} s"})
    told = [json.loads(line) for line in output.decode().splitlines() if line.startswith('{"check"')]
    outcome = Outcome(client, {each["check"]: each["error"] for each in told}, log=errors.decode())
    if (process.returncode and outcome.passed) or not told:
        outcome.checks["the whole script"] = errors.decode().strip()[-300:] or f"exit {process.returncode}"
    return outcome


def tell(outcome: Outcome) -> None:
    """Print what a client did."""
    mark = "–" if outcome.not_run else "✓" if outcome.passed else "✗"
    print(f"{mark} {outcome.client.name}: {outcome.not_run or f'{len(outcome.checks)} checks'}", flush=True)
    for name, error in outcome.checks.items():
        if error:
            print(f"    {name}: {error}", flush=True)
    if not outcome.passed and outcome.log:
        print(outcome.log[-4000:], file=sys.stderr, flush=True)


def page(outcomes: list[Outcome]) -> str:
    """Return docs/clients.md."""
    rows = [
        f"| {outcome.client.name} | {_version(outcome.client)} | {_result(outcome)} | {', '.join(outcome.checks)} |"
        for outcome in outcomes
    ]
    return "\n".join(
        [
            "# Clients",
            "",
            "<!-- Written by `make clients ARGS=--publish`; do not edit. -->",
            "",
            "Clients as their registries have them, run against the real stack through its public ports: nothing of them",
            "was changed but the base URL and the key. Behind the stack stands one upstream that speaks OpenAI's format.",
            f"`make clients` runs them again; this is what it saw on {datetime.now(UTC):%Y-%m-%d}.",
            "",
            "| client | version | result | what was tried |",
            "|---|---|---|---|",
            *rows,
            "",
            "Clients that speak OpenAI's Responses format by default must be told to use chat completions: `openai.chat(…)`",
            "in the Vercel AI SDK, `OpenAIChatModel` in pydantic-ai.",
            "",
        ]
    )


def _version(client: Client) -> str:
    return client.packages[0].replace("==", "@").rsplit("@", 1)[1].removeprefix("v")


def _result(outcome: Outcome) -> str:
    if outcome.not_run:
        return f"not run: {outcome.not_run}"
    passed = sum(not error for error in outcome.checks.values())
    failed = "; ".join(f"{name}: {error}" for name, error in outcome.checks.items() if error)
    return f"{passed} of {len(outcome.checks)}" + (f" ({failed})" if failed else "")


async def main() -> int:
    """Run, tell, and publish if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of the clients to run; all without")
    parser.add_argument("--publish", action="store_true", help="write docs/clients.md")
    parser.add_argument("--all", action="store_true", help="fail where a client cannot be had")
    arguments = parser.parse_args()
    chosen = [
        client
        for client in CLIENTS
        if not arguments.names or any(name.lower() in client.name.lower() for name in arguments.names)
    ]
    outcomes: list[Outcome] = []
    async with provider() as upstream, stack(upstream) as known:
        for client in chosen:
            outcomes.append(await run(client, known))
            tell(outcomes[-1])
    if arguments.publish:
        PAGE.write_text(page(outcomes))
    return int(any(not outcome.passed and (arguments.all or not outcome.not_run) for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
