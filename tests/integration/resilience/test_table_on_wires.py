"""The table of recovery over other wires than OpenAI's chat completions; and vendors that go on with each other's answers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from penstock_common.testing.generations import GenerationCaller
from penstock_common.testing.transports import IN_PROCESS, channel_to
from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.stage import Stage
from penstock_faults.table import ROWS, Mode, Row
from penstock_faults.verdict import Play, faults_in
from penstock_inference.app import build
from penstock_inference.settings import Settings

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "providers")]

from scenery import InferenceTheatre, upstream_settings  # noqa: E402
from wires import WIRES  # noqa: E402

ON_WIRES = [provider for provider in ("anthropic", "azure_openai", "gemini", "bedrock") if provider in WIRES]
AT_ONCE = 16


async def played(row: Row, mode: Mode, providers: tuple[str, ...]) -> Play:
    """One request whose candidates are upstreams of these providers, and what became of it."""
    names = ("first", "second")[: len(providers)]
    stage = Stage(row.first, row.others)
    async with AsyncExitStack() as stack:
        servers, upstreams = {}, []
        for name, provider in zip(names, providers, strict=True):
            server = ScriptedUpstream(lambda model, name=name: stage.part_of(name, model), gates=stage.gates)
            servers[name] = await stack.enter_async_context(server)
            base_url = server.base_url_of(WIRES[provider].format)
            settings = {**upstream_settings(name, row, provider=provider), "base_url": base_url}
            upstreams.append({**settings, **WIRES[provider].settings})
        service = await stack.enter_async_context(build(Settings.model_validate({"upstreams": upstreams})))
        caller = GenerationCaller(await stack.enter_async_context(channel_to(service, IN_PROCESS)))
        theatre = InferenceTheatre(caller, stage, servers)
        return await theatre.play(row, mode, *(f"{name}/{name}-model" for name in names))


async def faults_of(rows: Iterable[Row], mode: Mode, providers: tuple[str, ...]) -> list[str]:
    """What is not as the rows promise; they play side by side, as most of them wait for a timer."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(row: Row) -> list[str]:
        async with turns:
            return [f"{row.id}: {fault}" for fault in faults_in(await played(row, mode, providers))]

    return [fault for faults in await asyncio.gather(*map(one, rows)) for fault in faults]


@pytest.mark.parametrize("alone", [False, True], ids=["two", "alone"])
@pytest.mark.parametrize("mode", list(Mode), ids=str)
@pytest.mark.parametrize("provider", ON_WIRES)
async def test_the_table(provider: str, mode: Mode, alone: bool):
    assert await faults_of(ROWS, mode, (provider,) if alone else (provider, provider)) == []


MIXED = [row for row in ROWS if row.number in (3, 4, 8, 9, 12, 14, 16)]


@pytest.mark.parametrize("mode", list(Mode), ids=str)
@pytest.mark.parametrize("first", ["openai_compatible", *ON_WIRES])
async def test_a_vendor_goes_on_where_another_broke_off(first: str, mode: Mode):
    others = [provider for provider in ("openai_compatible", *ON_WIRES) if provider != first]
    for second in others:
        assert await faults_of(MIXED, mode, (first, second)) == [], second
