"""OpenAI's SDK against a gateway and an embedding service with all of its real parts, over sockets."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import openai
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from administrator import Administrator  # noqa: E402
from embedding_world import embedding_section  # noqa: E402
from stores_world import gateway_before, plain_configuration  # noqa: E402

from penstock.gateway.v1 import admin_service_pb2 as pb  # noqa: E402
from penstock_common.testing.transports import SOCKET  # noqa: E402
from penstock_embedding.app import build  # noqa: E402
from penstock_embedding.settings import Settings  # noqa: E402

OPERATOR_KEY = "operator-key-operator"
SCOPES = [pb.KEY_SCOPE_ADMIN, pb.KEY_SCOPE_READ, pb.KEY_SCOPE_INFERENCE]
LEAVE = "# Leave\n\nEmployees have thirty days of paid leave a year.\n\n## Sickness\n\nCall in before nine o'clock.\n"
TRAVEL = "Travel by train is booked in second class. Flights need the consent of a manager.\n"
FAST: dict[str, Any] = {"poll_interval_ms": 20}


@pytest.fixture
async def sdk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[openai.AsyncOpenAI]:
    if importlib.util.find_spec("qdrant_edge") is None:
        pytest.skip("the embedded engine is not installed")
    models = embedding_section(tmp_path_factory.getbasetemp() / "models")
    document = plain_configuration(tmp_path, OPERATOR_KEY)
    (tmp_path / "key").write_bytes(b"k" * 32)
    settings = Settings.model_validate(
        {
            "embedding": {"load": "on_first_use", "cache_dir": models["cache_dir"]},
            "sql": document["sql"],
            "secrets": {"knowledge_key_file": str(tmp_path / "key")},
            "knowledge": {"path": str(tmp_path / "vectors")},
            "qdrant": {"timeout": "10s"},
        }
    )
    async with (
        build(settings) as service,
        gateway_before(document, tmp_path, service, transport=SOCKET) as world,
        grpc.aio.insecure_channel(f"127.0.0.1:{world.grpc_port}") as channel,
    ):
        operator = Administrator(channel, OPERATOR_KEY)
        await operator.CreateTenant(name="acme", tier="wide")
        yield world.sdk((await operator.CreateKey(tenant="acme", scopes=SCOPES)).secret)


async def test_documents_are_uploaded_found_and_gone(sdk: openai.AsyncOpenAI) -> None:
    store = (
        await sdk.vector_stores.create(
            name="Handbook",
            chunking_strategy={
                "type": "static",
                "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0},
            },
        )
    ).id
    leave = await sdk.vector_stores.files.upload_and_poll(
        vector_store_id=store, file=("leave.md", LEAVE.encode()), attributes={"kind": "rule", "year": 2024}, **FAST
    )
    assert (leave.status, leave.last_error) == ("completed", None)
    assert leave.chunking_strategy.static.max_chunk_size_tokens == 100
    batch = await sdk.vector_stores.file_batches.upload_and_poll(
        store, files=[("travel.txt", TRAVEL.encode()), ("scan.pdf", b"%PDF-1.4 broken")], **FAST
    )
    assert (batch.status, batch.file_counts.completed, batch.file_counts.failed) == ("completed", 1, 1)
    (failed,) = (await sdk.vector_stores.files.list(store, filter="failed")).data
    assert failed.last_error.code == "invalid_file"
    found = (await sdk.vector_stores.search(store, query="How many days off are there?")).data
    assert (found[0].filename, found[0].attributes) == ("leave.md", {"kind": "rule", "year": 2024})
    assert "thirty days" in found[0].content[0].text
    assert all(0 <= hit.score <= 1 for hit in found)
    filtered = await sdk.vector_stores.search(
        store, query="days off", filters={"type": "gte", "key": "year", "value": 2025}
    )
    assert filtered.data == []
    text = await sdk.vector_stores.files.content(leave.id, vector_store_id=store)
    assert " ".join(piece.text for piece in text.data).split() == LEAVE.replace("#", "").split()
    await sdk.files.delete(leave.id)
    assert "leave.md" not in {hit.filename for hit in (await sdk.vector_stores.search(store, query="days off")).data}
    with pytest.raises(openai.NotFoundError):
        await sdk.vector_stores.files.retrieve(leave.id, vector_store_id=store)


async def test_what_the_service_refuses_is_a_400_in_openais_words(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.vector_stores.create(
            chunking_strategy={
                "type": "static",
                "static": {"max_chunk_size_tokens": 4000, "chunk_overlap_tokens": 0},
            }
        )
    assert refused.value.param == "chunking_strategy.static.max_chunk_size_tokens"
    store = (await sdk.vector_stores.create(name="a")).id
    file = (await sdk.files.create(file=("a.txt", b"x"), purpose="assistants")).id
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.vector_stores.files.create(store, file_id=file, attributes={"labels": "board"})
    assert (refused.value.param, "labels" in refused.value.message) == ("attributes", True)
    for nobodys in ("nobodys", "NOBODYS"):
        with pytest.raises(openai.NotFoundError) as missing:
            await sdk.vector_stores.retrieve(nobodys)
        assert missing.value.body["message"] == f"There is no vector store '{nobodys}'."


async def test_a_file_may_be_as_large_as_a_document(sdk: openai.AsyncOpenAI) -> None:
    content = b"\x00\xff\r\n" * (31 * 1024 * 1024 // 4)
    file = await sdk.files.create(file=("large.bin", content), purpose="user_data")
    assert file.bytes == len(content)
    assert (await sdk.files.content(file.id)).content == content
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.files.create(file=("larger.bin", content + b"x"), purpose="user_data")
    assert refused.value.param == "file"
