"""Documents are read in processes of their own."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from penstock_common.errors import Overloaded
from penstock_embedding.adapters.parsing.parser import SandboxedParser
from penstock_embedding.domain.documents.limits import ParsingLimits
from penstock_embedding.domain.documents.parsed import Block, DocumentRefused

MARKDOWN = b"# Overtime\n\nTwo hours **a week**.\n\n- one\n- two\n\n```py\nprint(1)\n```\n"


async def test_a_document_s_text_has_its_blocks():
    async with SandboxedParser.open(ParsingLimits()) as parser:
        parsed = await parser.parse(MARKDOWN, filename="overtime.md")

    assert parsed.text == "Overtime\n\nTwo hours **a week**.\n\n- one\n- two\n\nprint(1)"
    assert [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks] == [
        ("heading", "Overtime"),
        ("paragraph", "Two hours **a week**."),
        ("list", "- one\n- two"),
        ("code", "print(1)"),
    ]
    assert parsed.blocks[0] == Block("heading", 0, 8, 1)
    assert (parsed.title, parsed.media_type) == ("Overtime", "text/markdown")


async def test_a_process_is_kept_and_ends_with_the_parser():
    async with SandboxedParser.open(ParsingLimits()) as parser:
        await parser.parse(b"one")
        first = parser.idle_pids
        await parser.parse(b"two")
        assert parser.idle_pids == first
        assert len(first) == 1

    assert not _exists(first[0])


async def test_a_process_is_worn_after_its_documents():
    async with SandboxedParser.open(ParsingLimits(documents_per_worker=1)) as parser:
        await parser.parse(b"one")
        assert parser.idle_pids == []


async def test_a_process_that_has_grown_is_replaced():
    async with SandboxedParser.open(ParsingLimits(worker_bytes=1)) as parser:
        await parser.parse(b"one")
        assert parser.idle_pids == []


async def test_an_idle_process_s_death_is_no_document_s_fault():
    async with SandboxedParser.open(ParsingLimits()) as parser:
        await parser.parse(b"one")
        (pid,) = parser.idle_pids
        os.kill(pid, signal.SIGSEGV)
        assert (await parser.parse(b"two")).text == "two"
        assert parser.idle_pids != [pid]


async def test_beyond_those_that_may_wait_is_overloaded():
    async with SandboxedParser.open(ParsingLimits(workers=1, waiting=1)) as parser:
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(parser.parse(b"one"))
            second = tasks.create_task(parser.parse(b"two"))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await parser.parse(b"three")
        assert (first.result().text, second.result().text) == ("one", "two")


async def test_who_gives_up_leaves_no_process():
    async with SandboxedParser.open(ParsingLimits(workers=1)) as parser:
        await parser.parse(b"one")
        (pid,) = parser.idle_pids
        reading = asyncio.create_task(parser.parse(MARKDOWN * 10_000, filename="a.md"))
        while parser.idle_pids:
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert not _exists(pid)
        assert (await parser.parse(b"two")).text == "two"


async def test_too_many_bytes_start_nothing():
    async with SandboxedParser.open(ParsingLimits(input_bytes=3)) as parser:
        with pytest.raises(DocumentRefused) as refused:
            await parser.parse(b"four")
        assert refused.value.reason == "too_large"
        assert parser.idle_pids == []


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
