"""What clients asked when `make clients` last ran them is asked again, and answered as it was then, whoever is asked behind.

The recordings hold requests as the clients sent them: SDKs, frameworks, agents. The provider is the same one, over each wire.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

CLIENTS = Path(__file__).parents[3] / "clients"
sys.path.insert(0, str(CLIENTS))

from answering import AnsweringProvider  # noqa: E402
from client_stack import UPSTREAMS, document  # noqa: E402
from replay import asked_again, unpacked  # noqa: E402

RECORDINGS = sorted((Path(__file__).parent / "recorded_clients").glob("*.jsonl"))
_AT_ONCE = 8


def test_every_client_of_the_catalogue_that_speaks_a_wire_format_is_recorded():
    from catalogue import CLIENTS as KNOWN

    named = {json.loads(path.read_text().partition("\n")[0])["client"] for path in RECORDINGS}
    assert named == {client.name for client in KNOWN if client.recorded}


def test_no_recording_holds_a_key_or_a_path_of_the_machine_that_it_was_made_on():
    for path in RECORDINGS:
        text = path.read_text()
        for word in ("clients-key", "/root", "/tmp/", "/work/"):
            assert word not in text, (path.name, word)


@pytest.mark.parametrize("kind", UPSTREAMS)
async def test_what_clients_asked_is_answered_as_it_was(kind, document_without_models, serve):
    async with AnsweringProvider() as provider:
        document_without_models.update(document(kind, provider))
        suite = await serve()
        lines = [(path.stem, request) for path in RECORDINGS for request in unpacked(path.read_text().splitlines()[1:])]
        free = asyncio.Semaphore(_AT_ONCE)

        async def again(recorded: Any) -> dict[str, Any]:
            async with free:
                return await asked_again(suite.http, "http://penstock", recorded, suite.KEY)

        answers = await asyncio.gather(*(again(recorded) for _, recorded in lines))
    wrong = [
        (name, recorded["path"], answer, recorded["answer"])
        for (name, recorded), answer in zip(lines, answers, strict=True)
        if answer != recorded["answer"]
    ]
    assert not wrong, f"{len(wrong)} of {len(lines)}: {wrong[:5]}"


@pytest.fixture
def document_without_models(document):
    """The configuration, with nothing cached."""
    document["cache"] = {"mode": "off"}
    return document
