"""Uploaded files in SQL, and the documents that are made of them."""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parent))

from knowledge_world import KEY, TENANT, open_world  # noqa: E402

from penstock_common.contract import file_calls as files  # noqa: E402
from penstock_common.contract import knowledge_calls as calls  # noqa: E402
from penstock_common.errors import InvalidRequest, QuotaExhausted, ResourceNotFound  # noqa: E402
from penstock_common.sql.schema import upgrade  # noqa: E402
from penstock_embedding.adapters.sealing import DocumentSealer  # noqa: E402
from penstock_embedding.adapters.sql.files.schema import FILES  # noqa: E402
from penstock_embedding.adapters.sql.files.store import SqlFiles  # noqa: E402
from penstock_embedding.adapters.sql.files.tables import file_uses  # noqa: E402
from penstock_embedding.adapters.sql.files.tables import files as table  # noqa: E402
from penstock_embedding.domain.knowledge.files import FileLimits, Files  # noqa: E402

LIMITS = FileLimits(max_file_bytes=100, max_files=5, max_bytes=300)


@dataclass
class FilesWorld:
    world: Any
    files: Files
    store: SqlFiles
    engine: Any

    async def put(self, text: str = "the boat is red", tenant: str = TENANT, purpose: str = "assistants") -> str:
        request = files.PutFileRequest(tenant=tenant, filename="a.txt", purpose=purpose, content=text.encode())
        return (await self.files.put_file(request)).file.id

    async def attach(self, *ids: str, base: str = "kb") -> files.AttachFilesResponse:
        attachments = [files.Attachment(one) for one in ids]
        request = files.AttachFilesRequest(tenant=TENANT, base=base, files=attachments, batch=True)
        return await self.files.attach_files(request)

    async def documents(self, base: str = "kb") -> dict[str, str]:
        listed = await self.world.documents.list_documents(calls.ListDocumentsRequest(TENANT, base))
        return {one.id: one.state for one in listed.documents}

    async def take_all(self) -> None:
        while await self.world.ingest.take_one():
            pass

    async def rows(self, of: Any) -> list[Any]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(select(of))).all())


@pytest.fixture
async def kept(database_url: str, tmp_path: Path) -> AsyncIterator[FilesWorld]:
    async with open_world(database_url, tmp_path) as world:
        engine = world.database._engine
        await upgrade(engine, FILES)
        for base in ("kb", "other"):
            await world.documents.put_base(calls.PutBaseRequest(tenant=TENANT, id=base))
        store, clock = SqlFiles(engine), itertools.count(1_900_000_000_000_000_000, 1000)
        made = Files(store, DocumentSealer(KEY), world.documents, LIMITS, now_ns=lambda: next(clock))
        yield FilesWorld(world, made, store, engine)


async def test_a_file_is_sealed_and_its_tenants_alone(kept: FilesWorld) -> None:
    file = await kept.put()
    told = await kept.files.get_file_content(files.GetFileContentRequest(TENANT, file))
    assert (told.content, told.file.bytes, told.file.created_at.year) == (b"the boat is red", 15, 2030)
    (row,) = await kept.rows(table)
    assert b"boat" not in row.sealed
    for ask in (
        kept.files.get_file(files.GetFileRequest("other", file)),
        kept.files.get_file_content(files.GetFileContentRequest("other", file)),
    ):
        with pytest.raises(ResourceNotFound):
            await ask
    assert not (await kept.files.delete_file(files.DeleteFileRequest("other", file))).existed
    assert not (await kept.files.list_files(files.ListFilesRequest(tenant="other"))).files


async def test_files_are_listed_in_both_directions(kept: FilesWorld) -> None:
    ids = [await kept.put(purpose=purpose) for purpose in ("a", "b", "a", "a")]
    listed = await kept.files.list_files(files.ListFilesRequest(tenant=TENANT, page_size=2, after=ids[0]))
    assert ([file.id for file in listed.files], listed.more) == (ids[1:3], True)
    listed = await kept.files.list_files(
        files.ListFilesRequest(tenant=TENANT, page_size=2, after=ids[3], descending=True, purpose="a")
    )
    assert ([file.id for file in listed.files], listed.more) == ([ids[2], ids[0]], False)


async def test_a_tenant_has_its_share(kept: FilesWorld) -> None:
    with pytest.raises(InvalidRequest):
        await kept.put("x" * 101)
    for _ in range(3):
        await kept.put("x" * 99)
    with pytest.raises(QuotaExhausted):
        await kept.put("x" * 4)
    await kept.put("x")
    await kept.put("x")
    with pytest.raises(QuotaExhausted):
        await kept.put("x")
    await kept.put("x", tenant="other")


async def test_attached_files_are_found_until_they_are_deleted(kept: FilesWorld) -> None:
    first, second = await kept.put("the boat"), await kept.put("the car")
    batch = (await kept.attach(first, second)).batch
    await kept.attach(first, base="other")
    assert batch is not None
    assert (batch.pending, batch.ready) == (2, 0)
    await kept.take_all()
    batch = (await kept.files.get_batch(files.GetBatchRequest(TENANT, "kb", batch.id))).batch
    assert (batch.pending, batch.ready, batch.cancelled) == (0, 2, False)
    assert (await kept.files.delete_file(files.DeleteFileRequest(TENANT, first))).existed
    assert (await kept.documents(), await kept.documents("other")) == ({second: "ready"}, {})
    batch = (await kept.files.get_batch(files.GetBatchRequest(TENANT, "kb", batch.id))).batch
    assert (batch.ready, batch.documents_cancelled) == (1, 1)
    assert [row.file for row in await kept.rows(file_uses)] == [second]


async def test_what_is_pending_of_a_batch_is_cancelled(kept: FilesWorld) -> None:
    ready = await kept.put("the boat")
    await kept.attach(ready)
    await kept.take_all()
    pending = await kept.put("the car")
    batch = (await kept.attach(ready, pending)).batch
    assert batch is not None
    cancelled = (await kept.files.cancel_batch(files.CancelBatchRequest(TENANT, "kb", batch.id))).batch
    assert (cancelled.cancelled, cancelled.pending, cancelled.ready, cancelled.documents_cancelled) == (True, 0, 1, 1)
    await kept.take_all()
    listed = await kept.files.list_batch_documents(
        files.ListBatchDocumentsRequest(tenant=TENANT, base="kb", id=batch.id, state="cancelled")
    )
    assert [document.id for document in listed.documents] == [pending]
    with pytest.raises(ResourceNotFound):
        await kept.files.get_batch(files.GetBatchRequest(TENANT, "other", batch.id))


async def test_a_batch_whose_files_are_ready_meanwhile_is_cancelled_all_the_same(kept: FilesWorld) -> None:
    batch = (await kept.attach(await kept.put("the boat"), await kept.put("the car"))).batch
    assert batch is not None
    inner = kept.files._documents

    class Meanwhile:
        def __getattr__(self, name: str) -> Any:
            return getattr(inner, name)

        async def change_document(self, request: calls.ChangeDocumentRequest) -> Any:
            await kept.take_all()
            return await inner.change_document(request)

    kept.files._documents = Meanwhile()
    cancelled = (await kept.files.cancel_batch(files.CancelBatchRequest(TENANT, "kb", batch.id))).batch
    assert (cancelled.cancelled, cancelled.pending, cancelled.ready) == (True, 0, 2)


async def test_a_batch_is_listed_in_pages(kept: FilesWorld) -> None:
    ids = [await kept.put() for _ in range(4)]
    batch = (await kept.attach(*ids)).batch
    assert batch is not None
    request = files.ListBatchDocumentsRequest(tenant=TENANT, base="kb", id=batch.id, page_size=2, after=ids[3])
    backwards = await kept.files.list_batch_documents(
        files.ListBatchDocumentsRequest(
            tenant=TENANT, base="kb", id=batch.id, page_size=2, after=ids[3], descending=True
        )
    )
    assert ([one.id for one in backwards.documents], backwards.more) == ([ids[2], ids[1]], True)
    assert not (await kept.files.list_batch_documents(request)).documents


async def test_nothing_is_attached_where_one_file_is_not_there(kept: FilesWorld) -> None:
    file = await kept.put()
    for ids, base, error in (
        ([file, "file-none"], "kb", ResourceNotFound),
        ([file, file], "kb", InvalidRequest),
        ([], "kb", InvalidRequest),
        ([file], "nobodys", ResourceNotFound),
    ):
        with pytest.raises(error):
            await kept.attach(*ids, base=base)
    assert await kept.documents() == {}
    assert await kept.rows(file_uses) == []


async def test_a_file_that_is_deleted_while_it_is_attached_leaves_no_document(kept: FilesWorld) -> None:
    file = await kept.put()
    documents = kept.world.documents

    class Deleting:
        """Deletes the file after its content was read, and before its document is put."""

        list_documents, delete_document = documents.list_documents, documents.delete_document

        async def put_document(self, request: calls.PutDocumentRequest) -> calls.PutDocumentResponse:
            assert (await kept.files.delete_file(files.DeleteFileRequest(TENANT, file))).existed
            return await documents.put_document(request)

    attaching = Files(kept.store, DocumentSealer(KEY), Deleting(), LIMITS)  # type: ignore[arg-type]
    request = files.AttachFilesRequest(tenant=TENANT, base="kb", files=[files.Attachment(file)])
    with pytest.raises(ResourceNotFound):
        await attaching.attach_files(request)
    assert await kept.documents() == {}


async def test_a_deletion_that_broke_off_is_ended_by_the_next(kept: FilesWorld) -> None:
    file = await kept.put()
    await kept.attach(file)
    assert await kept.store.begin_deletion(TENANT, file)
    with pytest.raises(ResourceNotFound):
        await kept.files.get_file(files.GetFileRequest(TENANT, file))
    assert (await kept.files.delete_file(files.DeleteFileRequest(TENANT, file))).existed
    assert await kept.documents() == {}
    assert await kept.rows(table) == []
