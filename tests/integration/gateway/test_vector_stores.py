"""Documents with OpenAI's own SDK, unchanged, against a gateway over real sockets."""

from __future__ import annotations

import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import openai
import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from administrator import Administrator  # noqa: E402
from stores_world import StoresWorld, plain_configuration, stores_world  # noqa: E402

from penstock.gateway.v1 import admin_service_pb2 as pb  # noqa: E402
from penstock_common.contract.knowledge import Document  # noqa: E402
from penstock_embedding.domain.knowledge.files import FileLimits  # noqa: E402

OPERATOR_KEY = "operator-key-operator"
CHANGE = [pb.KEY_SCOPE_ADMIN, pb.KEY_SCOPE_READ, pb.KEY_SCOPE_INFERENCE]
LIMITS = FileLimits(max_file_bytes=1000, max_files=200, max_bytes=20_000)
FAST = {"poll_interval_ms": 1}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StoresWorld]:
    """One gateway for all tests, each of which has a tenant of its own: a start takes longer than most of them."""
    folder = tmp_path_factory.mktemp("stores")
    async with stores_world(plain_configuration(folder, OPERATOR_KEY), folder, LIMITS) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module")
async def world(running: StoresWorld) -> StoresWorld:
    """The gateway, its documents as in the beginning but for those of other tenants."""
    running.knowledge.settles_at_once, running.knowledge.degraded = True, ()
    running.knowledge.searches.clear()
    return running


@pytest_asyncio.fixture(loop_scope="module")
async def operator(world: StoresWorld) -> AsyncIterator[Administrator]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.grpc_port}") as channel:
        yield Administrator(channel, OPERATOR_KEY)


@pytest_asyncio.fixture(loop_scope="module")
async def tenant(operator: Administrator) -> str:
    name = f"t{uuid.uuid4().hex[:12]}"
    await operator.CreateTenant(name=name, tier="wide")
    return name


@pytest_asyncio.fixture(loop_scope="module")
async def new_key(operator: Administrator, tenant: str) -> Any:
    """A function that makes a key of the test's tenant."""

    async def make(scopes: Any = CHANGE, labels: Any = ()) -> str:
        return (await operator.CreateKey(tenant=tenant, scopes=scopes, labels=labels)).secret

    return make


@pytest_asyncio.fixture(loop_scope="module")
async def key(new_key: Any) -> str:
    return await new_key()


@pytest_asyncio.fixture(loop_scope="module")
async def sdk(world: StoresWorld, key: str) -> openai.AsyncOpenAI:
    return world.sdk(key)


async def upload(sdk: openai.AsyncOpenAI, text: str = "the boat is red", name: str = "boat.txt") -> str:
    return (await sdk.files.create(file=(name, text.encode()), purpose="assistants")).id


def documents_of(world: StoresWorld, tenant: str) -> list[Document]:
    return [document for place, document in world.knowledge.documents.items() if place[0] == tenant]


async def test_a_file_is_kept_until_it_is_deleted(sdk: openai.AsyncOpenAI) -> None:
    made = await sdk.files.create(file=("dir/boat.txt", b"\x00red\r\n--boat\r\n\xff"), purpose="user_data")
    assert (made.object, made.filename, made.purpose, made.bytes) == ("file", "boat.txt", "user_data", 15)
    assert made.status == "processed"
    assert await sdk.files.retrieve(made.id) == made
    content = await sdk.files.content(made.id)
    assert content.content == b"\x00red\r\n--boat\r\n\xff"
    assert content.response.headers["content-disposition"] == "attachment"
    gone = await sdk.files.delete(made.id)
    assert (gone.id, gone.deleted, gone.object) == (made.id, True, "file")
    for call in (sdk.files.retrieve, sdk.files.content, sdk.files.delete):
        with pytest.raises(openai.NotFoundError):
            await call(made.id)


async def test_what_lies_in_sql_is_sealed(world: StoresWorld, sdk: openai.AsyncOpenAI) -> None:
    await upload(sdk, "a-secret-that-nobody-reads")
    files = Path(world.socket).parent.glob("files.sqlite*")
    assert b"a-secret-that-nobody-reads" not in b"".join(path.read_bytes() for path in files)


async def test_files_are_listed_by_cursors_in_both_directions(sdk: openai.AsyncOpenAI) -> None:
    ids = [await upload(sdk, name=f"{number}.txt") for number in range(5)]
    await sdk.files.create(file=("x", b"x"), purpose="user_data")
    assert [file.id async for file in sdk.files.list(limit=2, order="asc", purpose="assistants")] == ids
    assert [file.id async for file in sdk.files.list(limit=3, purpose="assistants")] == ids[::-1]
    page = await sdk.files.list(limit=5, order="asc")
    assert (page.has_more, [file.id for file in page.data]) == (True, ids)
    last = await sdk.files.list(after=ids[-1], order="asc")
    assert (last.has_more, len(last.data)) == (False, 1)


async def test_a_store_is_made_found_changed_and_deleted(sdk: openai.AsyncOpenAI) -> None:
    made = await sdk.vector_stores.create(name="Boats", metadata={"team": "sail"})
    assert (made.object, made.name, made.metadata, made.status) == (
        "vector_store",
        "Boats",
        {"team": "sail"},
        "completed",
    )
    assert made.id.startswith("vs_")
    assert made.file_counts.total == 0
    assert await sdk.vector_stores.retrieve(made.id) == made
    renamed = await sdk.vector_stores.update(made.id, name="Ships")
    assert (renamed.name, renamed.metadata) == ("Ships", {"team": "sail"})
    assert (await sdk.vector_stores.update(made.id, metadata={})).metadata == {}
    gone = await sdk.vector_stores.delete(made.id)
    assert (gone.id, gone.deleted, gone.object) == (made.id, True, "vector_store.deleted")
    for call in (sdk.vector_stores.retrieve, sdk.vector_stores.delete):
        with pytest.raises(openai.NotFoundError):
            await call(made.id)


async def test_stores_are_listed_before_and_after_one(sdk: openai.AsyncOpenAI) -> None:
    ids = [(await sdk.vector_stores.create(name=f"{number}")).id for number in range(5)]
    assert [store.id async for store in sdk.vector_stores.list(limit=2)] == ids[::-1]
    middle = await sdk.vector_stores.list(before=ids[3], order="asc", limit=2)
    assert ([store.id for store in middle.data], middle.has_more) == (ids[1:3], True)
    first = await sdk.vector_stores.list(before=ids[2], order="asc", limit=2)
    assert ([store.id for store in first.data], first.has_more) == (ids[:2], False)
    raw = (await sdk.vector_stores.with_raw_response.list(limit=2, order="asc")).http_response.json()
    assert (raw["object"], raw["first_id"], raw["last_id"]) == ("list", ids[0], ids[1])


async def test_a_file_is_uploaded_found_changed_and_removed(
    world: StoresWorld, sdk: openai.AsyncOpenAI, tenant: str
) -> None:
    store = await sdk.vector_stores.create(name="Boats")
    file = await sdk.vector_stores.files.upload_and_poll(
        vector_store_id=store.id,
        file=("boat.txt", b"the boat is red and it sails on the lake every single day"),
        **FAST,
    )
    assert (file.status, file.last_error, file.vector_store_id, file.usage_bytes) == ("completed", None, store.id, 57)
    assert file.chunking_strategy.static.max_chunk_size_tokens == 192
    found = await sdk.vector_stores.search(store.id, query="red boat")
    (hit, *_) = found.data
    assert (hit.file_id, hit.filename, hit.score) == (file.id, "boat.txt", 1.0)
    assert hit.content[0].text == "the boat is red and it sails on the lake"
    changed = await sdk.vector_stores.files.update(
        file.id, vector_store_id=store.id, attributes={"colour": "red", "length": 3, "sails": True, "beam": 1.5}
    )
    assert changed.attributes == {"colour": "red", "length": 3, "sails": True, "beam": 1.5}
    text = await sdk.vector_stores.files.content(file.id, vector_store_id=store.id)
    assert "".join(piece.text for piece in text.data) == "the boat is red and it sails on the lake every single day"
    removed = await sdk.vector_stores.files.delete(file.id, vector_store_id=store.id)
    assert (removed.deleted, removed.object) == (True, "vector_store.file.deleted")
    assert (await sdk.vector_stores.search(store.id, query="red boat")).data == []
    assert (await sdk.files.retrieve(file.id)).id == file.id
    assert not documents_of(world, tenant)


async def test_a_deleted_file_is_found_in_no_store(world: StoresWorld, sdk: openai.AsyncOpenAI, tenant: str) -> None:
    file = await upload(sdk)
    stores = [(await sdk.vector_stores.create(name=name, file_ids=[file])).id for name in ("a", "b", "c")]
    await sdk.vector_stores.delete(stores[2])
    assert len(documents_of(world, tenant)) == 2
    await sdk.files.delete(file)
    assert not documents_of(world, tenant)
    for store in stores[:2]:
        assert (await sdk.vector_stores.search(store, query="red boat")).data == []
        assert (await sdk.vector_stores.retrieve(store)).file_counts.total == 0


async def test_a_store_is_not_made_without_the_files_that_it_is_to_have(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        await sdk.vector_stores.create(name="a", file_ids=[await upload(sdk), "file-of-nobody"])
    assert (await sdk.vector_stores.list()).data == []


async def test_a_file_that_cannot_be_read_says_why_and_where(sdk: openai.AsyncOpenAI) -> None:
    store = await sdk.vector_stores.create(name="a", file_ids=[await upload(sdk), await upload(sdk, "%broken%")])
    assert (store.file_counts.completed, store.file_counts.failed, store.file_counts.total) == (1, 1, 2)
    failed = [file async for file in sdk.vector_stores.files.list(store.id, filter="failed")]
    (file,) = failed
    assert (file.status, file.last_error.code) == ("failed", "invalid_file")
    assert "page 3" in file.last_error.message
    assert len([file async for file in sdk.vector_stores.files.list(store.id, limit=1)]) == 2


async def test_a_batch_is_polled_to_its_end(sdk: openai.AsyncOpenAI) -> None:
    store = (await sdk.vector_stores.create(name="a")).id
    ids = [await upload(sdk, f"boat {number}") for number in range(3)]
    batch = await sdk.vector_stores.file_batches.create_and_poll(
        store, files=[{"file_id": one, "attributes": {"n": number}} for number, one in enumerate(ids)], **FAST
    )
    assert (batch.status, batch.object, batch.vector_store_id) == ("completed", "vector_store.files_batch", store)
    assert (batch.file_counts.completed, batch.file_counts.total) == (3, 3)
    files = [
        file
        async for file in sdk.vector_stores.file_batches.list_files(
            batch.id, vector_store_id=store, limit=2, order="asc"
        )
    ]
    assert [(file.id, file.attributes) for file in files] == [(one, {"n": number}) for number, one in enumerate(ids)]


async def test_a_batch_is_cancelled_where_it_is_pending(
    world: StoresWorld, sdk: openai.AsyncOpenAI, tenant: str
) -> None:
    store = (await sdk.vector_stores.create(name="a")).id
    ready, pending = await upload(sdk), await upload(sdk)
    world.knowledge.settles_at_once = False
    batch = await sdk.vector_stores.file_batches.create(store, file_ids=[ready, pending], attributes={"n": 1})
    assert (batch.status, batch.file_counts.in_progress) == ("in_progress", 2)
    assert (await sdk.vector_stores.retrieve(store)).status == "in_progress"
    place = (tenant, store, ready)
    world.knowledge.documents[place] = world.knowledge._taken_in(world.knowledge.documents[place], "red")
    cancelled = await sdk.vector_stores.file_batches.cancel(batch.id, vector_store_id=store)
    assert (cancelled.status, cancelled.file_counts.completed, cancelled.file_counts.cancelled) == ("cancelled", 1, 1)
    assert await sdk.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store) == cancelled
    left = await sdk.vector_stores.file_batches.list_files(batch.id, vector_store_id=store, filter="cancelled")
    assert [file.id for file in left.data] == [pending]


async def test_files_are_attached_all_or_none(world: StoresWorld, sdk: openai.AsyncOpenAI, tenant: str) -> None:
    store = (await sdk.vector_stores.create(name="a")).id
    file = await upload(sdk)
    for wrong in ([file, "file-of-nobody"], [file, file]):
        with pytest.raises(openai.APIStatusError):
            await sdk.vector_stores.file_batches.create(store, file_ids=wrong)
    assert not documents_of(world, tenant)


async def test_several_queries_are_one_request_merged_by_the_best_score(
    world: StoresWorld, sdk: openai.AsyncOpenAI
) -> None:
    files = [await upload(sdk, text, f"{text}.txt") for text in ("red boat", "blue boat", "green car")]
    store = (await sdk.vector_stores.create(name="a", file_ids=files)).id
    raw = await sdk.vector_stores.with_raw_response.search(store, query=["red boat", "green car"], max_num_results=2)
    body = raw.http_response.json()
    assert (body["object"], body["search_query"]) == (
        "vector_store.search_results.page",
        ["red boat", "green car"],
    )
    assert (body["has_more"], body["next_page"]) == (False, None)
    assert [(hit["filename"], hit["score"]) for hit in body["data"]] == [("red boat.txt", 1.0), ("green car.txt", 1.0)]
    assert body["data"][0]["penstock"] == {
        "chunk_id": f"{files[0]}-1-0",
        "document_version": 1,
        "start": 0,
        "end": 8,
        "page": 0,
    }
    assert int(raw.headers["x-ratelimit-remaining-requests"]) > 0
    assert [request.query for request in world.knowledge.searches] == ["red boat", "green car"]


async def test_filters_ranking_and_thresholds_reach_the_search(world: StoresWorld, sdk: openai.AsyncOpenAI) -> None:
    store = (await sdk.vector_stores.create(name="a")).id
    for year in (2020, 2021, 2022):
        await sdk.vector_stores.files.create(
            store, file_id=await upload(sdk, f"boat {year}"), attributes={"year": year, "kind": "boat"}
        )
    filters: Any = {
        "type": "and",
        "filters": [
            {"type": "gte", "key": "year", "value": 2021},
            {"type": "or", "filters": [{"type": "nin", "key": "kind", "value": ["car", "plane"]}]},
        ],
    }
    found = await sdk.vector_stores.search(
        store,
        query="boat 2022",
        filters=filters,
        max_num_results=50,
        ranking_options={"ranker": "auto", "score_threshold": 0.6},
        rewrite_query=False,
    )
    assert [hit.attributes["year"] for hit in found.data] == [2022]
    options = world.knowledge.searches[-1].options
    assert (options.mode, options.limit, options.min_score) == ("hybrid_rerank", 50, 0.6)
    await sdk.vector_stores.search(store, query="boat")
    assert (world.knowledge.searches[-1].options.mode, world.knowledge.searches[-1].options.limit) == ("hybrid", 10)


async def test_what_did_not_take_part_is_told(world: StoresWorld, sdk: openai.AsyncOpenAI) -> None:
    store = (await sdk.vector_stores.create(name="a")).id
    world.knowledge.degraded = ("rerank",)
    raw = await sdk.vector_stores.with_raw_response.search(store, query=["a", "b"])
    assert raw.headers["x-penstock-degraded"] == "rerank"


async def test_a_search_goes_by_the_labels_of_its_key(
    world: StoresWorld, sdk: openai.AsyncOpenAI, new_key: Any
) -> None:
    store = (await sdk.vector_stores.create(name="a")).id
    file = await sdk.vector_stores.files.create(
        store, file_id=await upload(sdk), extra_body={"penstock_labels": ["board"]}
    )
    assert file.model_extra == {"penstock_labels": ["board"]}
    board = world.sdk(await new_key(scopes=[pb.KEY_SCOPE_INFERENCE], labels=["board"]))
    staff = world.sdk(await new_key(scopes=[pb.KEY_SCOPE_INFERENCE], labels=["staff"]))
    assert [len((await one.vector_stores.search(store, query="boat")).data) for one in (board, staff, sdk)] == [1, 0, 0]
    await sdk.vector_stores.files.update(
        file.id, vector_store_id=store, attributes={}, extra_body={"penstock_labels": ["staff"]}
    )
    assert [len((await one.vector_stores.search(store, query="boat")).data) for one in (board, staff)] == [0, 1]


async def test_looking_shows_what_a_search_with_the_key_could_find(
    world: StoresWorld, sdk: openai.AsyncOpenAI, new_key: Any
) -> None:
    store = (await sdk.vector_stores.create(name="a")).id
    board = [{"file_id": await upload(sdk), "penstock_labels": ["board"]} for _ in range(5)]
    files: Any = [*board, {"file_id": await upload(sdk)}]
    batch = (await sdk.vector_stores.file_batches.create(store, files=files)).id
    labelled, plain = files[0]["file_id"], files[-1]["file_id"]
    scopes = [pb.KEY_SCOPE_READ]
    of_board, staff = world.sdk(await new_key(scopes=scopes, labels=["board"])), world.sdk(await new_key(scopes=scopes))
    for one, expected in ((sdk, 6), (of_board, 6), (staff, 1)):
        for order in ("asc", "desc"):
            listed = [file.id async for file in one.vector_stores.files.list(store, limit=2, order=order)]
            of_batch = [
                file.id
                async for file in one.vector_stores.file_batches.list_files(
                    batch, vector_store_id=store, limit=1, order=order
                )
            ]
            assert (len(listed), listed, plain in listed) == (expected, of_batch, True)
    assert (await of_board.vector_stores.files.content(labelled, vector_store_id=store)).data
    assert (await staff.vector_stores.files.content(plain, vector_store_id=store)).data
    for path in (f"/v1/vector_stores/{store}/files/{labelled}", f"/v1/vector_stores/{store}/files/{labelled}/content"):
        hidden = await world.ask("GET", path, staff.api_key)
        nobodys = await world.ask("GET", path.replace(labelled, "file-none"), staff.api_key)
        assert (hidden.status_code, hidden.text.replace(labelled, "file-none")) == (404, nobodys.text)


async def test_the_walls_between_tenants_look_like_nothing_at_all(
    world: StoresWorld, sdk: openai.AsyncOpenAI, operator: Administrator
) -> None:
    file = await upload(sdk)
    store = (await sdk.vector_stores.create(name="a", file_ids=[file])).id
    batch = (await sdk.vector_stores.file_batches.create(store, file_ids=[file])).id
    other = f"t{uuid.uuid4().hex[:12]}"
    await operator.CreateTenant(name=other, tier="wide")
    key = (await operator.CreateKey(tenant=other, scopes=CHANGE)).secret
    assert (await world.sdk(key).vector_stores.list()).data == []
    assert (await world.sdk(key).files.list()).data == []
    paths = [
        ("GET", f"/v1/files/{file}", None),
        ("GET", f"/v1/files/{file}/content", None),
        ("DELETE", f"/v1/files/{file}", None),
        ("GET", f"/v1/vector_stores/{store}", None),
        ("POST", f"/v1/vector_stores/{store}", {"name": "x"}),
        ("DELETE", f"/v1/vector_stores/{store}", None),
        ("POST", f"/v1/vector_stores/{store}/search", {"query": "boat"}),
        ("GET", f"/v1/vector_stores/{store}/files", None),
        ("POST", f"/v1/vector_stores/{store}/files", {"file_id": file}),
        ("GET", f"/v1/vector_stores/{store}/files/{file}", None),
        ("POST", f"/v1/vector_stores/{store}/files/{file}", {"attributes": {}}),
        ("DELETE", f"/v1/vector_stores/{store}/files/{file}", None),
        ("GET", f"/v1/vector_stores/{store}/files/{file}/content", None),
        ("POST", f"/v1/vector_stores/{store}/file_batches", {"file_ids": [file]}),
        ("GET", f"/v1/vector_stores/{store}/file_batches/{batch}", None),
        ("GET", f"/v1/vector_stores/{store}/file_batches/{batch}/files", None),
        ("POST", f"/v1/vector_stores/{store}/file_batches/{batch}/cancel", None),
    ]
    for method, path, body in paths:
        foreign = await world.ask(method, path, key, json=body)
        nobodys = await world.ask(method, path.replace(store, "vs_none").replace(file, "file-none"), key, json=body)
        assert (method, path, foreign.status_code) == (method, path, 404)
        assert foreign.text.replace(store, "vs_none").replace(file, "file-none") == nobodys.text
    assert (await sdk.vector_stores.retrieve(store)).file_counts.total == 1


async def test_inference_keys_search_and_no_more(world: StoresWorld, sdk: openai.AsyncOpenAI, new_key: Any) -> None:
    file = await upload(sdk)
    store = (await sdk.vector_stores.create(name="a", file_ids=[file])).id
    narrow = world.sdk(await new_key(scopes=[pb.KEY_SCOPE_INFERENCE]))
    reader = world.sdk(await new_key(scopes=[pb.KEY_SCOPE_READ]))
    assert len((await narrow.vector_stores.search(store, query="boat")).data) == 1
    for refused, scope in (
        (narrow.vector_stores.create(name="b"), "admin"),
        (narrow.vector_stores.delete(store), "admin"),
        (narrow.files.create(file=b"x", purpose="assistants"), "admin"),
        (narrow.vector_stores.files.create(store, file_id=file), "admin"),
        (narrow.vector_stores.retrieve(store), "read"),
        (narrow.vector_stores.files.content(file, vector_store_id=store), "read"),
    ):
        with pytest.raises(openai.PermissionDeniedError) as denied:
            await refused
        assert (denied.value.code, scope in denied.value.message) == ("missing_scope", True)
    for hidden in (
        narrow.files.delete(file),
        narrow.files.content(file),
        reader.files.content(file),
        reader.files.retrieve(file),
    ):
        with pytest.raises(openai.NotFoundError):
            await hidden
    assert (await sdk.files.retrieve(file)).id == file


async def test_a_tenant_has_its_share_of_files(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as large:
        await upload(sdk, "x" * 1001)
    assert large.value.param == "file"
    for _ in range(20):
        await upload(sdk, "x" * 1000)
    with pytest.raises(openai.RateLimitError) as full:
        await upload(sdk, "x")
    assert full.value.code == "insufficient_quota"


async def test_a_path_has_several_methods(world: StoresWorld, key: str) -> None:
    answered = await world.ask("PUT", "/v1/vector_stores/vs_a/files/file-a", key)
    assert (answered.status_code, answered.headers["allow"]) == (405, "GET, HEAD, POST, DELETE")
    for path in ("/vector_stores", "/openai/v1/vector_stores/", "/v1//files"):
        assert (await world.ask("GET", path, key)).status_code == 200
