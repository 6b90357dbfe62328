"""A process that is killed at any stage, and goes on: every chunk once, none lost, and nothing half to be seen."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from knowledge_world import TENANT, open_world  # noqa: E402

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import SearchOptions

# Where, and at which time within the run that the kill before has left.
STAGES = [
    ("take", 2),
    ("parse", 3),
    ("cut", 3),
    ("embed", 4),
    ("put", 3),
    ("commit", 3),
    ("committed", 3),
    ("cleaned", 2),
    ("build commit", 3),
    ("finish", 1),
]
LONG = 140
"""Lines of the longest documents: three batches of vectors."""


def plan_of(seed: int) -> list[list[str]]:
    """Return documents, replacements that are shorter and longer, deletions, and an index to build."""
    dice = random.Random(seed)
    names = [f"d{number:02}" for number in range(16)]
    plan = [["base"]]
    plan += [["put", name, text_of(name, 1, LONG if name == "d03" else dice.randint(1, 9))] for name in names]
    plan += [["take"], ["build"]]
    plan += [["put", name, text_of(name, 2, dice.choice([1, 2, 12]))] for name in names[:8]]
    plan += [["delete", name] for name in names[6:10]]
    plan += [["take"], ["put", "d07", text_of("d07", 3, 4)]]
    return plan


def text_of(name: str, version: int, lines: int) -> str:
    return "".join(f"{name} version {version} line {number} of {lines}\n" for number in range(lines))


async def run(folder, kills=()) -> list[int]:
    script = Path(__file__).with_name("killed_ingest.py")
    said = [str(part) for kill in kills for part in kill]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(folder), *said, stdout=asyncio.subprocess.PIPE
    )
    return json.loads((await process.communicate())[0])


async def everything(folder) -> tuple[Counter, Counter]:
    """Return the chunks of each index in SQL, and the points that there are."""
    async with open_world(f"sqlite:///{folder}/k.db", folder) as world:
        chunks = Counter[tuple[int, str]]()
        for version in (1, 2):
            options = SearchOptions(limit=10_000, index_version=version)
            request = calls.SearchRequest(tenant=TENANT, bases=["kb"], query="line", options=options)
            for hit in (await world.searcher.search(request, None)).hits:
                chunks[version, hit.chunk.id] += 1
            index = await world.catalogue.index(TENANT, "kb", version)
            assert index.chunks == sum(number for (of, _), number in chunks.items() if of == version)
        points = Counter(
            (point["index"][2], path.name.split("-", 2)[2]) for path, point in world.vectors.points().items()
        )
        assert not await world.heap.some(1)
        return chunks, points


async def look(folder, ended: asyncio.Event) -> int:
    """Search as long as the test runs: what is found of a document is one version of it, whole."""
    looked = 0
    async with open_world(f"sqlite:///{folder}/k.db", folder) as world:
        while not ended.is_set():
            options = SearchOptions(limit=10_000)
            try:
                request = calls.SearchRequest(tenant=TENANT, bases=["kb"], query="line", options=options)
                hits = (await world.searcher.search(request, None)).hits
            except Exception as error:
                if "knowledge base" not in str(error):
                    raise
                await asyncio.sleep(0.02)
                continue
            lines: dict[str, list[str]] = {}
            for hit in hits:
                lines.setdefault(hit.chunk.document, []).append(hit.chunk.text)
            for document, found in lines.items():
                said = {(line.split()[2], line.split()[6]) for line in found}
                assert len(said) == 1, (document, said)
                assert len(found) == int(said.pop()[1]), (document, found)
            looked += 1
            await asyncio.sleep(0.02)
    return looked


@pytest.mark.parametrize("seed", [1])
async def test_killed_at_every_stage_and_gone_on_with_it_is_as_if_nothing_had_happened(tmp_path, seed):
    plan = json.dumps(plan_of(seed))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        (folder / "plan.json").write_text(plan)
    ended = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        undisturbed = group.create_task(run(whole))
        reader = group.create_task(look(killed, ended))
        assert await run(killed, STAGES) == [*[-signal.SIGKILL] * len(STAGES), 0]
        ended.set()
        assert await undisturbed == [0]
    assert reader.result() > 20
    chunks, points = await everything(killed)
    expected, expected_points = await everything(whole)
    assert set(chunks.values()) == {1}
    assert chunks == expected
    # A killed process may leave vectors that are nobody's: these are not believed, and here they were swept, too.
    assert points == expected_points == chunks
