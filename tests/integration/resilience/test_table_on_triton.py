"""The rows that gRPC can go wrong by, with a scripted Triton in the first place and OpenAI's format behind it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from penstock_faults.named import SCRIPTS
from penstock_faults.stage import Stage
from penstock_faults.table import ROWS, Mode, Row
from penstock_faults.triton import plays
from penstock_faults.verdict import faults_in
from penstock_suite.domain.rehearsal import public_models

sys.path.insert(0, str(Path(__file__).parent))

from scenery import document_for  # noqa: E402

CASES = [pytest.param(row, mode, id=f"{row.id}-{mode}") for row in ROWS if plays(row.first) for mode in Mode]


def document_with_triton(row: Row) -> dict:
    document = document_for(row)
    first = document["upstreams"][0]
    del first["base_url"], first["api_key"]
    first |= {"provider": "triton", "grpc": "127.0.0.1:9"}
    return document


@pytest.mark.parametrize(("row", "mode"), CASES)
async def test_through_the_gateway(row: Row, mode: Mode, house):
    document = document_with_triton(row)
    played = await house.play(document, public_models(document)[0], row, mode)
    assert faults_in(played) == []


def test_what_only_http_can_do_wrong_is_not_played():
    assert [
        name for name in ("html", "no-done", "redirect", "429-date", "malformed-event") if plays(SCRIPTS[name])
    ] == []
    assert all(plays(SCRIPTS[name]) for name in ("good", "cut-reset", "cut-stall", "500-once", "silence", "paced"))


async def test_what_a_triton_saw_is_told(house):
    row = Row(number=0, name="good", first=SCRIPTS["good"])
    document = document_with_triton(row)
    stage = Stage(row.first, row.others)
    async with house.theatre(document, public_models(document)[0], stage) as theatre:
        sight = await theatre.ask("two", Mode.STREAMED)
        (seen,) = theatre.asked()["first/first-model"]
        record = theatre.records["first"]
        assert (record.concurrent, record.most_concurrent, record.open_connections) == (0, 1, 1)
    assert sight.complete
    assert "Who asks?" in seen.body["text_input"]
    assert seen.sent_bytes > 0
    assert seen.left_at is None
    assert record.open_connections == 0


async def test_a_client_that_leaves_is_seen_to_leave(house):
    row = Row(number=0, name="silence", first=SCRIPTS["silence"])
    document = document_with_triton(row)
    async with house.theatre(document, public_models(document)[0], Stage(row.first, row.others)) as theatre:
        asking = asyncio.ensure_future(theatre.ask("two", Mode.STREAMED))
        seen = await theatre.records["first"].next_request()
        asking.cancel()
        await asyncio.wait_for(seen.left.wait(), 60)
