"""The table of recovery over other wires than OpenAI's chat completions; and vendors that go on with each other's answers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from penstock_common.testing.generations import GenerationCaller
from penstock_common.testing.transports import IN_PROCESS, channel_to
from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.script import TEXT
from penstock_faults.stage import Stage
from penstock_faults.table import CUT_OFF, ROWS, Mode, Row
from penstock_faults.verdict import Play, faults_in
from penstock_inference.app import build
from penstock_inference.settings import Settings
from penstock_suite.domain.rehearsal import public_models

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "providers")]

from scenery import InferenceTheatre, upstream_settings  # noqa: E402
from wires import WIRES  # noqa: E402

ON_WIRES = [name for name in ("anthropic", "azure_openai", "gemini", "bedrock", "openai by responses") if name in WIRES]
AT_ONCE = 8
# Whatever comes there may have been a piece of the answer: none is passed over.
NONE_SKIPPED = ("gemini", "openai by responses")
# The last event repeats the answer, and may be longer than ten megabytes.
LONG_EVENTS = ("openai by responses",)


@dataclass(frozen=True)
class Case:
    """A row, how it is asked for, and the wires of the candidates, in their order."""

    row: Row
    mode: Mode
    wires: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.row.id}, {self.mode}, {' then '.join(self.wires)}"


async def played(case: Case) -> Play:
    """One request, and what became of it."""
    row, names = case.row, ("first", "second")[: len(case.wires)]
    stage = Stage(row.first, row.others)
    async with AsyncExitStack() as stack:
        servers, upstreams = {}, []
        for name, wire in zip(names, case.wires, strict=True):
            server = ScriptedUpstream(lambda model, name=name: stage.part_of(name, model), gates=stage.gates)
            servers[name] = await stack.enter_async_context(server)
            settings = upstream_settings(name, row)
            upstreams.append({**settings, **WIRES[wire].upstream(wire, server, name), "models": settings["models"]})
        service = await stack.enter_async_context(build(Settings.model_validate({"upstreams": upstreams})))
        caller = GenerationCaller(await stack.enter_async_context(channel_to(service, IN_PROCESS)))
        theatre = InferenceTheatre(caller, stage, servers)
        return await theatre.play(row, case.mode, *(f"{name}/{name}-model" for name in names))


async def faults_of(cases: Iterable[Case]) -> list[str]:
    """What is not as the rows promise; they play side by side, as most of them wait for a timer."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> list[str]:
        async with turns:
            return [f"{case}: {fault}" for fault in faults_in(await played(case))]

    return [fault for faults in await asyncio.gather(*map(one, cases)) for fault in faults]


def rows_on(wire: str) -> list[Row]:
    """The rows as they are on a wire."""
    return [
        replace(row, alone=CUT_OFF) if row.name == "malformed-event" and wire in NONE_SKIPPED else row
        for row in ROWS
        if not (row.name == "long-line" and wire in LONG_EVENTS)
    ]


@pytest.mark.parametrize("mode", list(Mode), ids=str)
@pytest.mark.parametrize("wire", ON_WIRES)
async def test_the_table(wire: str, mode: Mode):
    both = [(wire,), (wire, wire)]
    assert await faults_of([Case(row, mode, wires) for row in rows_on(wire) for wires in both]) == []


VENDORS = ["openai_compatible", *ON_WIRES]
BREAKS = [row for row in ROWS if row.name in ("cut-reset", "cut-stall", "error-event", "cut-refuses-prefill")]


async def test_a_cut_answer_of_one_vendor_is_made_whole_by_another():
    pairs = [(first, second) for first in VENDORS for second in VENDORS if first != second]
    assert await faults_of([Case(row, Mode.STREAMED, pair) for pair in pairs for row in BREAKS]) == []


async def test_an_answer_in_one_piece_that_breaks_off_is_given_by_another_vendor():
    ring = zip(VENDORS, [*VENDORS[1:], VENDORS[0]], strict=True)
    assert await faults_of([Case(row, Mode.WHOLE, pair) for pair in ring for row in BREAKS]) == []


UPSTREAMS = {
    "claude": {"provider": "anthropic", "api_key": "sk-a"},
    "azure": {"provider": "azure_openai", "base_url": "https://our.openai.azure.com", "entra": True},
    "google": {"provider": "gemini", "api_key": "AIza"},
    "cloud": {"provider": "vertex", "project": "ours", "region": "europe-west4", "publisher": "anthropic"},
    "aws": {"provider": "bedrock", "aws_region": "eu-central-1", "aws_profile": "ours"},
}
PATHS = {
    "claude": "/v1/messages",
    "azure": "/openai/v1/chat/completions",
    "google": "/v1beta/models/google-model:streamGenerateContent?alt=sse",
    "cloud": "/v1/messages",
    "aws": "/model/aws-model/converse-stream",
}


def document_of(*names: str) -> dict:
    """The configuration of a model whose candidates are these, as an operator has it."""
    return {
        "upstreams": [
            {
                "name": name,
                "models": [{"name": f"{name}-model", "context_window": 9000, "capabilities": ["chat", "prefill"]}],
                **UPSTREAMS[name],
            }
            for name in names
        ],
        "models": [{"name": "mixed", "candidates": [f"{name}/{name}-model" for name in names]}],
        "gateway": {"router_timeout": "30s", "key_lookup_timeout": "30s"},
    }


RING = [*zip(UPSTREAMS, [*list(UPSTREAMS)[1:], "claude"], strict=True)]


@pytest.mark.parametrize(("first", "second"), RING)
async def test_a_caller_of_the_gateway_sees_no_seam_between_vendors(first: str, second: str, house):
    document = document_of(first, second)
    (model,) = public_models(document)
    (row,) = [row for row in ROWS if row.name == "cut-reset"]
    played = await house.play(document, model, row, Mode.STREAMED)
    assert faults_in(played) == []
    assert played.sight.text == TEXT
    assert list(played.asked) == [f"{first}/{first}-model", f"{second}/{second}-model"]
    for (candidate, requests), name in zip(played.asked.items(), (first, second), strict=True):
        assert candidate.startswith(name)
        assert {seen.path for seen in requests} == {PATHS[name]}
    # The second one was given what had been said, and said nothing of it again.
    going_on = list(played.asked.values())[1][0]
    assert "Whoever asks shall" in going_on.raw_body.decode()
