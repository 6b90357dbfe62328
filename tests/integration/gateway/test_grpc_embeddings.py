"""The public EmbeddingService on a real suite, and what is left of it without one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from embedding_world import MODEL, embedding_section  # noqa: E402

from penstock.gateway.v1 import embedding_service_pb2 as pb  # noqa: E402
from penstock.gateway.v1 import model_service_pb2  # noqa: E402
from penstock.gateway.v1.embedding_service_pb2_grpc import EmbeddingServiceStub  # noqa: E402
from penstock.gateway.v1.model_service_pb2_grpc import ModelServiceStub  # noqa: E402
from penstock_common.errors import ModelNotFound, UnsupportedParameter  # noqa: E402
from penstock_common.status import error_from_rpc  # noqa: E402

HEAD = (("authorization", "Bearer demo-key-demo-key-demo"),)


@pytest.fixture
def with_embedding(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    document["embedding"] = embedding_section(tmp_path_factory.getbasetemp() / "models")


async def test_each_input_has_its_vector_and_the_bill_is_told(serve: Any, with_embedding: None, transport: str) -> None:
    suite = await serve(transport)
    request = pb.EmbedRequest(model=MODEL, inputs=["hello world", "word " * 300])
    call = EmbeddingServiceStub(suite.channel).Embed(request, metadata=HEAD, timeout=30)
    response = await call
    assert [len(embedding.values) for embedding in response.embeddings] == [384, 384]
    assert [embedding.truncated for embedding in response.embeddings] == [False, True]
    assert (response.model, response.usage.input_tokens, response.cost_nano_usd) == (MODEL, 260, 5200)
    assert response.model_revision.startswith("int8-")
    assert response.embedding_id
    head = dict(await call.initial_metadata())
    assert int(head["x-ratelimit-remaining-requests"]) > 0
    (row,) = await suite.ledger_after_close()
    assert (row["generation_id"], row["surface"], row["cost_nano_usd"]) == (response.embedding_id, "grpc", 5200)


async def test_dimensions_and_unknown_models_are_typed_errors(serve: Any, with_embedding: None) -> None:
    stub = EmbeddingServiceStub((await serve()).channel)
    for wanted, kind in (
        (pb.EmbedRequest(model=MODEL, inputs=["a"], dimensions=7), UnsupportedParameter),
        (pb.EmbedRequest(model="other", inputs=["a"]), ModelNotFound),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Embed(wanted, metadata=HEAD, timeout=30)
        assert isinstance(error_from_rpc(refused.value), kind)


async def test_the_model_is_listed_with_its_capability(serve: Any, with_embedding: None) -> None:
    stub = ModelServiceStub((await serve()).channel)
    response = await stub.ListModels(model_service_pb2.ListModelsRequest(), metadata=HEAD)
    capabilities = {model.name: list(model.capabilities) for model in response.models}
    assert capabilities[MODEL] == ["embeddings"]
    assert "embeddings" not in capabilities["fast"]


async def test_nobody_embeds_without_a_key(serve: Any, with_embedding: None) -> None:
    stub = EmbeddingServiceStub((await serve()).channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Embed(pb.EmbedRequest(model=MODEL, inputs=["a"]))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_without_the_service_no_embedding_model_exists(serve: Any) -> None:
    suite = await serve()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await EmbeddingServiceStub(suite.channel).Embed(pb.EmbedRequest(model=MODEL, inputs=["a"]), metadata=HEAD)
    assert isinstance(error_from_rpc(refused.value), ModelNotFound)
    response = await ModelServiceStub(suite.channel).ListModels(model_service_pb2.ListModelsRequest(), metadata=HEAD)
    assert [model.name for model in response.models] == ["fast", "safe"]


async def test_batches_and_requests_are_in_the_gateways_metrics(
    serve: Any, with_embedding: None, document: dict[str, Any], unused_tcp_port: int
) -> None:
    document["telemetry"] = {"metrics_listen": f"127.0.0.1:{unused_tcp_port}"}
    suite = await serve()
    await EmbeddingServiceStub(suite.channel).Embed(pb.EmbedRequest(model=MODEL, inputs=["a"]), metadata=HEAD)
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{unused_tcp_port}/metrics") as page:
        text = await page.text()
    assert f'penstock_requests_total{{model="{MODEL}",outcome="ok",surface="grpc"}} 1.0' in text
    assert f'penstock_tokens_total{{model="{MODEL}",type="input",upstream="embedding"}} 3.0' in text
    assert "penstock_embedding_batch_texts_count" in text
