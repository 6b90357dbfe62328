"""``/v1/rerank``, ``/v2/rerank`` and ``RerankService`` on a real suite."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from questions_world import add_server, post  # noqa: E402

from penstock.gateway.v1 import rerank_service_pb2 as pb  # noqa: E402
from penstock.gateway.v1.rerank_service_pb2_grpc import RerankServiceStub  # noqa: E402
from penstock_common.errors import UnsupportedParameter  # noqa: E402
from penstock_common.status import error_from_rpc  # noqa: E402
from penstock_common.testing.plain_upstream import PlainUpstream, answering  # noqa: E402

HEAD = (("authorization", "Bearer demo-key-demo-key-demo"),)
DOCUMENTS = ["a rose", "a car", "a tulip"]
SCORES = [
    {"index": 0, "relevance_score": 0.1}, {"index": 1, "relevance_score": 0.123456789012345678}, {"index": 2, "relevance_score": 0.05},
]  # fmt: skip


@pytest.fixture
async def server(document: dict[str, Any]) -> Any:
    async with PlainUpstream() as server:
        server.usual = answering({"results": SCORES, "usage": {"total_tokens": 12}})
        add_server(document, server)
        yield server


async def test_a_ranking_in_the_common_shape_with_its_bill(serve: Any, server: PlainUpstream, transport: str) -> None:
    suite = await serve(transport)
    answered = await post(suite, "/v1/rerank", model="rank", query="vehicle", documents=DOCUMENTS, top_n=2)
    assert answered.status == 200
    body = answered.json
    assert body["results"] == [
        {"index": 1, "relevance_score": 0.123456789012345678},
        {"index": 0, "relevance_score": 0.1},
    ]
    assert (body["model"], body["usage"]) == ("rr", {"total_tokens": 12, "prompt_tokens": 12})
    assert answered.header["x-penstock-cost-usd"] == "0.000012"
    assert answered.header["x-penstock-upstream"] == "plain"
    assert int(answered.header["x-ratelimit-remaining-requests"]) > 0
    (row,) = await suite.ledger_after_close()
    assert (row["operation"], row["generation_id"], row["requested_model"]) == ("rerank", body["id"], "rank")
    assert (row["upstream"], row["model"], row["input_tokens"]) == ("plain", "rr", 12)
    assert (row["cost_nano_usd"], row["outcome"], row["attempts"]) == (12_000, "ok", 1)


async def test_documents_are_given_back_where_they_are_asked_for(serve: Any, server: PlainUpstream) -> None:
    suite = await serve()
    documents = [{"text": "a rose", "title": "x"}, "a car", {"text": "a tulip"}]
    asked = {"model": "rank", "query": "q", "documents": documents, "return_documents": True, "top_n": 100}
    body = (await post(suite, "/v2/rerank", **asked)).json
    assert [one["document"]["text"] for one in body["results"]] == ["a car", "a rose", "a tulip"]
    assert server.requests[0].json["documents"] == DOCUMENTS


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"documents": []}, "documents"), ({"query": ""}, "query"), ({"top_n": 0}, "top_n"), ({"top_n": -1}, "top_n"),
        ({"documents": ["a", ""]}, "documents[1]"), ({"documents": ["a"] * 1001}, "documents"),
        ({"rank_fields": ["title"]}, "rank_fields"), ({"top_k": 1}, "top_k"), ({"documents": "a"}, "documents"),
    ],
)  # fmt: skip
async def test_what_cannot_be_ranked_is_refused_by_name(
    serve: Any, server: PlainUpstream, change: dict[str, Any], param: str
) -> None:
    suite = await serve()
    answered = await post(suite, "/v1/rerank", **{"model": "rank", "query": "q", "documents": DOCUMENTS, **change})
    assert (answered.status, answered.error["param"]) == (400, param)
    assert server.requests == []


async def test_each_kind_of_model_answers_its_own_questions(serve: Any, server: PlainUpstream) -> None:
    suite = await serve()
    for path, body in (
        ("/v1/rerank", {"model": "fast", "query": "q", "documents": DOCUMENTS}),
        ("/v1/moderations", {"model": "rank", "input": "a"}),
        ("/v1/chat/completions", {"model": "rank", "messages": [{"role": "user", "content": "a"}]}),
    ):
        answered = await post(suite, path, **body)
        assert (answered.status, answered.error["code"]) == (400, "unsupported_parameter")
    unknown = await post(suite, "/v1/rerank", model="nobody", query="q", documents=DOCUMENTS)
    assert (unknown.status, unknown.error["code"]) == (404, "model_not_found")
    forbidden = await post(suite, "/v2/rerank", key=suite.NARROW_KEY, model="rank", query="q", documents=DOCUMENTS)
    assert (forbidden.status, list(forbidden.json)) == (403, ["message"])
    assert server.requests == []
    models = (await suite.request("GET", "/v1/models", headers={"authorization": f"Bearer {suite.KEY}"})).json["data"]
    assert "rank" in [model["id"] for model in models]


async def test_a_budget_is_spent_by_it_and_refuses_it(
    document: dict[str, Any], serve: Any, server: PlainUpstream
) -> None:
    document["budgets"] = [{"name": "b", "tenant": "demo", "amount": "0.00001", "period": "day"}]
    suite = await serve()
    answered = await post(suite, "/v1/rerank", model="rank", query="q" * 400, documents=["d" * 4000] * 3)
    assert (answered.status, answered.error["code"]) == (429, "budget_exceeded")
    assert server.requests == []


async def test_who_leaves_is_billed_for_what_was_sent(serve: Any, server: PlainUpstream) -> None:

    came = asyncio.Event()

    async def never(request: Any) -> None:
        came.set()
        await request.gone()

    server.usual = never
    suite = await serve()
    asking = asyncio.ensure_future(post(suite, "/v1/rerank", model="rank", query="q", documents=DOCUMENTS))
    await asyncio.wait_for(came.wait(), 30)
    asking.cancel()
    await asyncio.wait_for(server.requests[0].left.wait(), 30)
    (row,) = await suite.ledger_after_close()
    assert row["outcome"] == "cancelled"
    assert (row["usage_source"], row["upstream"]) == ("estimated", "plain")
    assert row["cost_nano_usd"] > 0


async def test_an_idempotency_key_gives_the_same_answer_again(serve: Any, server: PlainUpstream) -> None:
    suite = await serve()
    asked = {"model": "rank", "query": "q", "documents": DOCUMENTS}
    first, second = [await post(suite, "/v1/rerank", head={"idempotency-key": "k1"}, **asked) for _ in range(2)]
    assert first.body == second.body
    assert len(server.requests) == 1


async def test_grpc_says_the_same(serve: Any, server: PlainUpstream, transport: str) -> None:
    suite = await serve(transport)
    stub = RerankServiceStub(suite.channel)
    request = pb.RerankRequest(model="rank", query="q", documents=DOCUMENTS, top_n=1, return_documents=True)
    call = stub.Rerank(request, metadata=HEAD, timeout=30)
    response = await call
    assert [(one.index, one.relevance_score, one.document) for one in response.results] == [
        (1, 0.123456789012345678, "a car")
    ]
    assert (response.model, response.usage.input_tokens, response.cost_nano_usd, response.attempts) == (
        "rr",
        12,
        12_000,
        1,
    )
    assert int(dict(await call.initial_metadata())["x-ratelimit-remaining-requests"]) > 0
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Rerank(pb.RerankRequest(model="fast", query="q", documents=["a"]), metadata=HEAD, timeout=30)
    assert isinstance(error_from_rpc(refused.value), UnsupportedParameter)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Rerank(
            pb.RerankRequest(model="rank", query="q", documents=["a"], top_n=0), metadata=HEAD, timeout=30
        )
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    rows = await suite.ledger_after_close()
    assert [(row["surface"], row["operation"]) for row in rows][0] == ("grpc", "rerank")
