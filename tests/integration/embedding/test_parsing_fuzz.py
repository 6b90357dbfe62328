"""Whatever a file holds, it is read or refused.

``PENSTOCK_FUZZ_SECONDS`` goes on with further seeds for so long for each kind of file: `make fuzz-documents`.
"""

import itertools
import os
import sys
import time
import zlib
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from document_files import HEALTHY, package  # noqa: E402
from mutations import mutations  # noqa: E402

from penstock_embedding.adapters.parsing.parser import SandboxedParser  # noqa: E402
from penstock_embedding.domain.documents.limits import ParsingLimits  # noqa: E402
from penstock_embedding.domain.documents.parsed import DocumentRefused, Parsed  # noqa: E402

SECONDS = float(os.environ.get("PENSTOCK_FUZZ_SECONDS", "0"))
ROUND = 60
OFFICE = ("a.docx", "a.pptx", "a.xlsx")

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300 + SECONDS * 2),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parser():
    async with SandboxedParser.open(ParsingLimits(workers=1, documents_per_worker=100_000)) as opened:
        yield opened


@pytest.mark.parametrize("name", HEALTHY)
async def test_a_changed_file_is_read_or_refused(parser, name):
    until = time.monotonic() + SECONDS
    for seed in itertools.count(zlib.crc32(name.encode())):
        for content in mutations(HEALTHY[name], seed, ROUND):
            await check(parser, name, content)
        if time.monotonic() >= until:
            break


@pytest.mark.parametrize("name", OFFICE)
async def test_a_changed_part_is_read_or_refused(parser, name):
    until = time.monotonic() + SECONDS
    for seed in itertools.count(zlib.crc32(name.encode())):
        for part, content in parts(HEALTHY[name]).items():
            for mutated in mutations(content, seed, ROUND // 6):
                await check(parser, name, package({**parts(HEALTHY[name]), part: mutated}))
        if time.monotonic() >= until:
            break


async def check(parser: SandboxedParser, name: str, content: bytes) -> None:
    try:
        check_parsed(await parser.parse(content, filename=name))
    except DocumentRefused as refused:
        # A reader that ends, or that opens something, is at fault itself.
        if refused.reason in {"crashed", "timeout", "out_of_memory"} or "nobody opens" in refused.message:
            raise


def check_parsed(parsed: Parsed) -> None:
    parsed.text.encode()
    ends = [0]
    for block in parsed.blocks:
        assert ends[-1] <= block.start < block.end
        ends.append(block.end)
    assert ends[-1] == len(parsed.text)
    assert all(0 <= page <= len(parsed.text) for page in parsed.pages)
    assert list(parsed.pages) == sorted(parsed.pages)


def parts(content: bytes) -> dict[str, bytes]:
    with ZipFile(BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "[Content_Types].xml"}
