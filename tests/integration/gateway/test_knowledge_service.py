"""KnowledgeService on sockets: who may do what, the walls between tenants and labels, and what is left behind."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import grpc
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator, refused  # noqa: E402
from knowledge_in_memory import KnowledgeInMemory  # noqa: E402
from test_admin_rest import call, running_edge  # noqa: E402

from penstock.gateway.v1 import admin_service_pb2  # noqa: E402
from penstock.gateway.v1 import knowledge_service_pb2 as pb  # noqa: E402
from penstock.gateway.v1.knowledge_service_pb2_grpc import KnowledgeServiceStub  # noqa: E402
from penstock.knowledge.v1 import knowledge_pb2 as known  # noqa: E402
from penstock_common.testing.transports import IN_PROCESS, TRANSPORTS  # noqa: E402

Code = grpc.StatusCode
INFERENCE, READ, ADMIN = (
    admin_service_pb2.KEY_SCOPE_INFERENCE,
    admin_service_pb2.KEY_SCOPE_READ,
    admin_service_pb2.KEY_SCOPE_ADMIN,
)


class Reader:
    """A caller of KnowledgeService with a key; ``ask.GetDocument(base="x")`` returns the response or raises."""

    def __init__(self, suite, key):
        self._stub = KnowledgeServiceStub(suite.channel)
        self._metadata = (("authorization", f"Bearer {key}"),)

    def __getattr__(self, name):
        request_type = getattr(pb, f"{name}Request")

        async def ask(**fields):
            return await getattr(self._stub, name)(request_type(**fields), metadata=self._metadata, timeout=30)

        return ask

    async def found(self, query, *bases, **fields):
        result = (await self.Search(bases=bases or ["handbook"], query=query, **fields)).result
        return sorted(hit.chunk.document for hit in result.hits)

    async def progress(self, **fields):
        stream = self._stub.WatchIngest(pb.WatchIngestRequest(**fields), metadata=self._metadata, timeout=30)
        return [told.progress async for told in stream]


@pytest.fixture
def kept():
    return KnowledgeInMemory()


@pytest.fixture(params=TRANSPORTS)
async def suite(serve, kept, request):
    return await serve(request.param, kept.service())


@pytest.fixture
async def here(serve, kept):
    """The suite in one process, where the transport is not what is tested."""
    return await serve(IN_PROCESS, kept.service())


@pytest.fixture
def operator(here):
    return Reader(here, here.OPERATOR_KEY)


async def key_of(suite, tenant="demo", scopes=(INFERENCE,), labels=()):
    created = await Administrator(suite.channel, suite.OPERATOR_KEY).CreateKey(
        tenant=tenant, scopes=scopes, labels=labels
    )
    return Reader(suite, created.secret)


@pytest.fixture
async def handbook(here, operator):
    """A knowledge base of ``demo`` with a document for all, and one for those with the label ``hr``."""
    await operator.CreateKnowledgeBase(tenant="demo", id="handbook")
    await operator.PutDocument(tenant="demo", base="handbook", id="rules", content=b"Holidays are long.")
    await operator.PutDocument(tenant="demo", base="handbook", id="pay", content=b"Holidays are paid.", labels=["hr"])
    return operator


async def audited(suite, tenant="demo"):
    listed = await Administrator(suite.channel, suite.OPERATOR_KEY).ListAuditEntries(tenant=tenant)
    return [(entry.action.removeprefix("knowledge."), entry.target, entry.outcome) for entry in listed.entries][::-1]


async def test_life_of_a_knowledge_base_on_either_transport(suite):
    administrator, asking = await key_of(suite, scopes=[ADMIN]), await key_of(suite)
    attribute = known.Attribute(name="year", value=known.AttributeValue(number=2026))
    spec = known.IndexSpec(splitter=known.Splitter(kind=known.SPLITTER_KIND_MARKDOWN, max_tokens=128, overlap_tokens=0))
    made = (await administrator.CreateKnowledgeBase(id="handbook", name="H", attributes=[attribute], spec=spec)).base
    assert (made.id, made.serving, list(made.attributes)) == ("handbook", 1, [attribute])
    changed = (await administrator.UpdateKnowledgeBase(id="handbook", name="I")).base
    assert (changed.name, len(changed.attributes)) == ("I", 0)
    put = await administrator.PutDocument(
        base="handbook", id="a", content=b"Hello", filename="a.md", labels=["x"], attributes=[attribute]
    )
    assert (put.document.version, put.document.state, put.unchanged) == (1, known.DOCUMENT_STATE_READY, False)
    assert (await administrator.PutDocument(base="handbook", id="a", content=b"Hello", labels=["x"])).unchanged
    assert (await administrator.ListChunks(base="handbook", document="a")).chunks[0].text == "Hello"
    assert (await administrator.GetOriginal(base="handbook", id="a")).content == b"Hello"
    assert [told.documents_done for told in await administrator.progress(base="handbook")] == [0, 1]
    assert await asking.found("hello") == []
    await administrator.UpdateDocument(base="handbook", id="a", replace_labels=True)
    assert await asking.found("hello") == ["a"]
    listed = (await administrator.ListIndexes(base="handbook")).indexes
    assert (listed[0].spec, listed[0].state) == (spec, known.INDEX_STATE_SERVING)
    assert (await administrator.BuildIndex(base="handbook", spec=spec)).index.number == 2
    code, reason, error = await refused(administrator.SwitchIndex(base="handbook", version=2))
    assert (code, reason) == (Code.FAILED_PRECONDITION, "RESOURCE_STATE")
    assert "Force it" in error.details()
    assert (await administrator.SwitchIndex(base="handbook", version=2, force=True)).index.number == 2
    assert (await administrator.SwitchIndex(base="handbook")).index.number == 1
    assert (await administrator.DropIndex(base="handbook", version=2)).existed
    question = known.EvaluationQuery(query="q", relevant=[known.RelevantDocument(document="a", grade=3)])
    assert (await administrator.PutEvaluation(base="handbook", queries=[question])).queries == 1
    assert (await administrator.ChunkDocument(content=b"Hello")).chunks[0].text == "Hello"
    assert (await administrator.DeleteDocument(base="handbook", id="a")).existed
    assert not (await administrator.DeleteDocument(base="handbook", id="a")).existed
    assert await asking.found("hello") == []
    assert (await administrator.DeleteKnowledgeBase(id="handbook")).existed
    assert list((await administrator.ListKnowledgeBases()).bases) == []


async def test_search_goes_by_the_keys_labels_whatever_its_scopes(here, handbook):
    without, hr = await key_of(here), await key_of(here, labels=["hr", "it"])
    everything = await key_of(here, scopes=[INFERENCE, ADMIN])
    assert await without.found("holidays") == ["rules"]
    assert await everything.found("holidays") == ["rules"]
    assert await hr.found("holidays") == ["pay", "rules"]
    # A key may search for somebody who has less.
    assert await hr.found("holidays", labels=["it"]) == ["rules"]
    assert await hr.found("holidays", labels=["hr"]) == ["pay", "rules"]
    code, reason, _ = await refused(without.found("holidays", labels=["hr"]))
    assert (code, reason) == (Code.PERMISSION_DENIED, "RIGHTS_EXCEEDED")
    assert await handbook.found("holidays", tenant="demo", labels=["hr"]) == ["pay", "rules"]
    assert await handbook.found("holidays", tenant="demo") == ["rules"]


async def test_configured_keys_have_their_tenants_labels(serve, document, kept):
    document["tenants"][0]["labels"] = ["hr"]
    suite = await serve(IN_PROCESS, kept.service())
    operator = Reader(suite, suite.OPERATOR_KEY)
    await operator.CreateKnowledgeBase(tenant="demo", id="handbook")
    await operator.PutDocument(tenant="demo", base="handbook", id="pay", content=b"Paid.", labels=["hr"])
    assert await Reader(suite, suite.KEY).found("paid") == ["pay"]
    assert kept.asked[-1].labels == ("hr",)


async def test_who_looks_sees_what_its_labels_permit_and_the_rest_does_not_exist(here, handbook):
    looking, hr = await key_of(here, scopes=[READ]), await key_of(here, scopes=[READ], labels=["hr"])
    administrator = await key_of(here, scopes=[ADMIN])
    for reader, seen in ((looking, ["rules"]), (hr, ["pay", "rules"]), (administrator, ["pay", "rules"])):
        assert [one.id for one in (await reader.ListDocuments(base="handbook")).documents] == seen
    assert (await hr.GetOriginal(base="handbook", id="pay")).content == b"Holidays are paid."
    for ask in (
        lambda name: looking.GetDocument(base="handbook", id=name),
        lambda name: looking.GetOriginal(base="handbook", id=name),
        lambda name: looking.ListChunks(base="handbook", document=name),
    ):
        hidden, unknown = await refused(ask("pay")), await refused(ask("nay"))
        assert hidden[:2] == unknown[:2] == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")
        assert hidden[2].details() == unknown[2].details().replace("nay", "pay")


async def test_another_tenants_is_what_does_not_exist(here, handbook, kept):
    foreign = await key_of(here, "other", [READ, ADMIN, INFERENCE], ["hr"])
    asked = [
        lambda base: foreign.GetKnowledgeBase(id=base),
        lambda base: foreign.UpdateKnowledgeBase(id=base, name="mine"),
        lambda base: foreign.PutDocument(base=base, id="rules", content=b"x"),
        lambda base: foreign.UpdateDocument(base=base, id="rules", replace_labels=True),
        lambda base: foreign.GetDocument(base=base, id="rules"),
        lambda base: foreign.ListDocuments(base=base),
        lambda base: foreign.ListChunks(base=base, document="rules"),
        lambda base: foreign.GetOriginal(base=base, id="rules"),
        lambda base: foreign.DeleteDocument(base=base, id="rules"),
        lambda base: foreign.progress(base=base),
        lambda base: foreign.found("holidays", base),
        lambda base: foreign.BuildIndex(base=base),
        lambda base: foreign.ListIndexes(base=base),
        lambda base: foreign.SwitchIndex(base=base, version=1),
        lambda base: foreign.DropIndex(base=base, version=1),
        lambda base: foreign.PutEvaluation(base=base),
    ]
    for ask in asked:
        theirs, nobodys = await refused(ask("handbook")), await refused(ask("nandbook"))
        assert theirs[:2] == nobodys[:2] == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")
        assert theirs[2].details() == nobodys[2].details().replace("nandbook", "handbook")
    assert not (await foreign.DeleteKnowledgeBase(id="handbook")).existed
    assert list((await foreign.ListKnowledgeBases()).bases) == []
    assert {request.tenant for request in kept.asked[-30:]} == {"other"}
    for fields in ({"id": "handbook"}, {"id": "nandbook"}):
        code, reason, _ = await refused(foreign.GetKnowledgeBase(tenant="demo", **fields))
        assert (code, reason) == (Code.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_operator_names_a_tenant_that_there_is(here, operator):
    code, _, error = await refused(operator.ListKnowledgeBases())
    assert (code, "tenant must be named" in error.details()) == (Code.INVALID_ARGUMENT, True)
    code, _, _ = await refused(operator.CreateKnowledgeBase(tenant="nobody", id="a"))
    assert code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("scope", "may", "may_not"),
    [
        (INFERENCE, ["Search"], ["GetKnowledgeBase", "ListDocuments", "PutDocument", "GetOriginal", "SwitchIndex"]),
        (READ, ["ListKnowledgeBases", "ListIndexes", "GetDocument"], ["Search", "PutDocument", "UpdateDocument"]),
        (ADMIN, ["ListIndexes", "GetOriginal", "DeleteDocument"], ["Search"]),
    ],
)
async def test_scope_opens_its_methods_and_no_others(here, handbook, scope, may, may_not):
    reader = await key_of(here, scopes=[scope])
    fields = {
        "Search": {"bases": ["handbook"], "query": "x"},
        "GetKnowledgeBase": {"id": "handbook"},
        "ListKnowledgeBases": {},
        **{name: {"base": "handbook", "id": "rules"} for name in ("GetDocument", "GetOriginal", "DeleteDocument")},
    }
    for name in may:
        await getattr(reader, name)(**fields.get(name, {"base": "handbook"}))
    for name in may_not:
        code, reason, _ = await refused(getattr(reader, name)(**fields.get(name, {"base": "handbook"})))
        assert (code, reason) == (Code.PERMISSION_DENIED, "SCOPE_MISSING"), name


async def test_key_gives_the_labels_alone_that_it_has(here, operator):
    operators = Administrator(here.channel, here.OPERATOR_KEY)
    made = await operators.CreateKey(tenant="demo", scopes=[ADMIN], labels=["hr", "it", "hr"])
    assert list(made.key.labels) == ["hr", "it"]
    administrator = Administrator(here.channel, made.secret)
    assert list((await administrator.CreateKey(labels=["hr"])).key.labels) == ["hr"]
    narrow = Administrator(here.channel, (await administrator.CreateKey(scopes=[ADMIN])).secret)
    for wider in (
        administrator.CreateKey(labels=["hr", "law"]),
        narrow.CreateKey(labels=["hr"]),
        narrow.RotateKey(id=made.key.id),
    ):
        code, reason, error = await refused(wider)
        assert (code, reason) == (Code.PERMISSION_DENIED, "RIGHTS_EXCEEDED"), error
    rotated = await operators.RotateKey(id=made.key.id)
    assert list(rotated.key.labels) == ["hr", "it"]
    for labels in (["*"], [""], ["a b"], ["x" * 65], [f"l{at}" for at in range(65)]):
        code, _, error = await refused(operators.CreateKey(tenant="demo", labels=labels))
        assert (code, "labels" in error.details()) == (Code.INVALID_ARGUMENT, True)
    code, _, _ = await refused(operators.CreateKey(scopes=[admin_service_pb2.KEY_SCOPE_OPERATOR], labels=["hr"]))
    assert code is Code.INVALID_ARGUMENT


async def test_disabled_users_labelled_key_is_revived_by_those_alone_who_have_the_label(here, operator):
    operators = Administrator(here.channel, here.OPERATOR_KEY)
    user = (await operators.CreateUser(tenant="demo", name="ada", role=admin_service_pb2.USER_ROLE_MEMBER)).user
    await operators.CreateKey(tenant="demo", user_id=user.id, labels=["hr"])
    await operators.DisableUser(id=user.id)
    narrow = Administrator(here.channel, (await operators.CreateKey(tenant="demo", scopes=[ADMIN])).secret)
    code, reason, _ = await refused(narrow.EnableUser(id=user.id))
    assert (code, reason) == (Code.PERMISSION_DENIED, "RIGHTS_EXCEEDED")
    await operators.EnableUser(id=user.id)


async def test_labels_of_documents_have_the_form_of_keys_labels(here, handbook):
    for labels in (["*"], ["ä"], [f"l{at}" for at in range(65)]):
        code, _, _ = await refused(handbook.PutDocument(tenant="demo", base="handbook", content=b"x", labels=labels))
        assert code is Code.INVALID_ARGUMENT


async def test_change_and_attempt_leave_an_audit_entry_and_looking_does_not(here, handbook):
    await handbook.GetDocument(tenant="demo", base="handbook", id="pay")
    await handbook.UpdateDocument(tenant="demo", base="handbook", id="pay", replace_labels=True, labels=["law"])
    await handbook.BuildIndex(tenant="demo", base="handbook")
    await refused(handbook.SwitchIndex(tenant="demo", base="handbook", version=2))
    await handbook.SwitchIndex(tenant="demo", base="handbook", version=2, force=True, reason="The old model goes.")
    await handbook.DeleteDocument(tenant="demo", base="handbook", id="pay")
    assert await audited(here) == [
        ("create_base", "handbook", "ok"),
        ("put_document", "handbook/rules", "ok"),
        ("put_document", "handbook/pay", "ok"),
        ("update_document", "handbook/pay", "ok"),
        ("build_index", "handbook", "ok"),
        ("switch_index", "handbook", "resource_state"),
        ("switch_index", "handbook", "ok"),
        ("delete_document", "handbook/pay", "ok"),
    ]
    listed = await Administrator(here.channel, here.OPERATOR_KEY).ListAuditEntries(tenant="demo", page_size=2)
    assert dict(listed.entries[1].details) == {"version": "2", "force": "true", "reason": "The old model goes."}
    too_long = handbook.SwitchIndex(tenant="demo", base="handbook", version=2, force=True, reason="x" * 257)
    assert (await refused(too_long))[0] is Code.INVALID_ARGUMENT


async def test_search_counts_among_the_tenants_limits_and_is_in_the_ledger(here, operator):
    await operator.CreateKnowledgeBase(tenant="free", id="handbook")
    searching = Reader(here, here.FREE_KEY)
    for _ in range(3):
        await searching.found("x")
    code, reason, _ = await refused(searching.found("x"))
    assert (code, reason) == (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    await operator.found("x", tenant="free")
    rows = await here.ledger_after_close()
    assert [(row["tenant"], row["requested_model"], row["input_tokens"], row["outcome"]) for row in rows] == [
        ("free", "knowledge", 3, "ok")
    ] * 3


async def test_without_an_embedding_service_it_says_what_to_configure(serve):
    suite = await serve()
    code, reason, error = await refused(Reader(suite, suite.KEY).found("x"))
    assert (code, reason) == (Code.FAILED_PRECONDITION, "RESOURCE_STATE")
    assert "section `embedding`" in error.details()


async def test_whole_over_rest(here, kept):
    administrator = (
        await Administrator(here.channel, here.OPERATOR_KEY).CreateKey(tenant="demo", scopes=[ADMIN, INFERENCE])
    ).secret
    async with running_edge(here) as edge:
        root = "/api/v1/knowledge"

        async def ask(verb, path, body=None):
            status, told = await call(edge, verb, f"{root}{path}", administrator, body)
            assert status == 200, told
            return told

        assert (await ask("POST", "/bases", {"id": "handbook"}))["base"]["id"] == "handbook"
        content = base64.b64encode("Große Pause.".encode()).decode()
        put = {"id": "guide:pause.md", "content": content, "attributes": [{"name": "y", "value": {"number": 1}}]}
        assert (await ask("POST", "/bases/handbook/documents", put))["document"]["id"] == "guide:pause.md"
        place = "/bases/handbook/documents/guide:pause.md"
        assert (await ask("GET", place))["document"]["bytes"] == "13"
        assert (await ask("GET", f"{place}/original"))["content"] == content
        assert (await ask("GET", f"{place}/chunks"))["chunks"][0]["text"] == "Große Pause."
        told = await ask("PATCH", place, {"labels": ["hr"], "replace_labels": True})
        assert told["document"]["labels"] == ["hr"]
        found = await ask("POST", ":search", {"bases": ["handbook"], "query": "pause"})
        assert "hits" not in found["result"] or not found["result"]["hits"]
        assert (await ask("POST", "/bases/handbook/indexes", {}))["index"]["number"] == 2
        switched = await ask("POST", "/bases/handbook/indexes:switch", {"version": 2, "force": True})
        assert switched["index"]["state"] == "INDEX_STATE_SERVING"
        assert (await ask("DELETE", "/bases/handbook/indexes/1"))["existed"]
        assert (await ask("PUT", "/bases/handbook/evaluation", {"queries": [{"query": "q"}]}))["queries"] == 1
        async with edge.get(
            f"{root}/bases/handbook/ingest",
            headers={"authorization": f"Bearer {administrator}", "accept": "text/event-stream"},
        ) as stream:
            assert (stream.status, b"documents_total" in await stream.read()) == (200, True)
        assert (await ask("DELETE", place))["existed"]
        assert (await ask("DELETE", "/bases/handbook"))["existed"]
