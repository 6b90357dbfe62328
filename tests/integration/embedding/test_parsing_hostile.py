"""Files that mean harm are refused for what they are, at the place where it is, and harm nobody else."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from document_files import HEALTHY  # noqa: E402
from hostile_files import HOSTILE  # noqa: E402

from penstock_embedding.adapters.parsing.parser import SandboxedParser  # noqa: E402
from penstock_embedding.domain.documents.limits import ParsingLimits  # noqa: E402
from penstock_embedding.domain.documents.parsed import DocumentRefused  # noqa: E402

LIMITS = ParsingLimits()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parser():
    async with SandboxedParser.open(LIMITS) as opened:
        yield opened


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_hostile_file_is_refused_beside_a_healthy_one(parser, name):
    hostile = HOSTILE[name]
    refusal = asyncio.create_task(parser.parse(hostile.make(), filename=hostile.filename))
    healthy = await parser.parse(HEALTHY["a.txt"], filename="a.txt")

    with pytest.raises(DocumentRefused) as refused:
        await refusal
    assert (refused.value.reason, refused.value.place) == (hostile.reason, hostile.place)
    assert refused.value.message[-1] in ".?"
    assert healthy.title == "OVERTIME"
    # None of them took a process along, nor much memory.
    assert all(process.peak_bytes < LIMITS.memory_bytes for process in parser._idle)
    assert len(children()) <= LIMITS.workers


def test_there_are_enough_of_every_kind():
    kinds = [name.partition(":")[0] for name in HOSTILE]
    assert len(kinds) >= 60
    assert (
        min(kinds.count(kind) for kind in ("pdf", "zip", "docx", "pptx", "xlsx", "html", "csv", "json", "eml", "text"))
        >= 5
    )


async def test_what_takes_too_long_is_ended_and_the_next_is_read():
    before = children()
    long = b"word *word* `word` " * 200_000
    async with SandboxedParser.open(ParsingLimits(seconds=0.2, workers=1)) as parser:
        refusal = asyncio.create_task(parser.parse(b"> - " * 500 + long + b"\n" + b"* a\n" * 300_000, filename="a.md"))
        await asyncio.sleep(0)
        healthy = asyncio.create_task(parser.parse(b"healthy"))
        with pytest.raises(DocumentRefused) as refused:
            await refusal
        assert refused.value.reason == "timeout"
        assert (await healthy).text == "healthy"
    assert children() == before


async def test_what_takes_too_much_memory_is_refused_and_the_next_is_read():
    before = children()
    async with SandboxedParser.open(ParsingLimits(memory_bytes=64 * 1024 * 1024, workers=1)) as parser:
        with pytest.raises(DocumentRefused) as refused:
            await parser.parse(b"word " * 3_000_000, filename="a.txt")
        assert refused.value.reason == "out_of_memory"
        assert (await parser.parse(b"healthy")).text == "healthy"
    assert children() == before


@pytest.mark.parametrize(
    ("signal_number", "reason"),
    [(signal.SIGSEGV, "crashed"), (signal.SIGKILL, "out_of_memory"), (signal.SIGXCPU, "timeout")],
)
async def test_a_process_that_ends_is_its_document_s_end_alone(signal_number, reason):
    before = children()
    async with SandboxedParser.open(ParsingLimits(workers=1)) as parser:
        reading = asyncio.create_task(parser.parse(HEALTHY["a.md"] * 20_000, filename="a.md"))
        while not (busy := parser.busy_pids):
            await asyncio.sleep(0)
        os.kill(busy[0], signal_number)
        with pytest.raises(DocumentRefused) as refused:
            await reading
        assert refused.value.reason == reason
        assert (await parser.parse(b"healthy")).text == "healthy"
    assert children() == before


async def test_a_file_is_read_again_when_a_process_that_had_read_others_ends():
    async with SandboxedParser.open(ParsingLimits(workers=1)) as parser:
        await parser.parse(b"before")
        (pid,) = parser.idle_pids
        reading = asyncio.create_task(parser.parse(HEALTHY["a.md"] * 100, filename="a.md"))
        while parser.idle_pids:
            await asyncio.sleep(0)
        os.kill(pid, signal.SIGSEGV)
        assert (await reading).title == "Overtime in Lyon"


def children() -> list[str]:
    """Return the processes that this one has, those that have ended and nobody has asked for among them."""
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
