from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from penstock.embedding.v1 import embedding_service_pb2 as pb
from penstock_common.errors import InvalidRequest, ModelNotFound, UnsupportedParameter
from penstock_common.service import Service
from penstock_common.status import error_from_rpc
from penstock_common.telemetry.steps import steps_from_metadata


def _cosine(left: pb.Embedding, right: pb.Embedding) -> float:
    return sum(a * b for a, b in zip(left.values, right.values, strict=True))


async def test_vectors_come_in_the_order_of_the_inputs(stub: Any) -> None:
    inputs = ["short", "a text that is quite a bit longer than the first one " * 9, "between the two, in length"]
    together = await stub.Embed(pb.EmbedRequest(inputs=inputs))
    assert len(together.embeddings) == len(inputs)
    for text, vector in zip(inputs, together.embeddings, strict=True):
        alone = (await stub.Embed(pb.EmbedRequest(inputs=[text]))).embeddings[0]
        assert _cosine(vector, alone) == pytest.approx(1, abs=1e-3)


async def test_the_answer_names_model_and_revision(stub: Any) -> None:
    default = await stub.Embed(pb.EmbedRequest(inputs=["hello world"]))
    named = await stub.Embed(pb.EmbedRequest(model="all-MiniLM-L6-v2", inputs=["hello world"]))
    assert default == named
    assert default.model == "all-MiniLM-L6-v2"
    assert default.model_revision.startswith("int8-")
    assert default.input_tokens == 4
    assert len(default.embeddings[0].values) == 384
    assert _cosine(default.embeddings[0], default.embeddings[0]) == pytest.approx(1, abs=1e-4)


async def test_the_answer_says_what_its_tokens_cost_and_where_it_was_made(stub: Any) -> None:
    response = await stub.Embed(pb.EmbedRequest(inputs=["hello world"]))
    assert response.unit_prices.input_nano_usd == 20_000_000
    assert response.upstream == "embedding"


async def test_the_one_model_is_listed(stub: Any) -> None:
    (model,) = (await stub.ListModels(pb.ListModelsRequest())).models
    assert (model.name, model.context_window_tokens) == ("all-MiniLM-L6-v2", 256)


async def test_dimensions_that_the_model_lacks_are_unsupported(stub: Any) -> None:
    error = await _error(stub.Embed(pb.EmbedRequest(inputs=["a"], dimensions=64)), grpc.StatusCode.INVALID_ARGUMENT)
    assert isinstance(error, UnsupportedParameter)
    assert error.parameter == "dimensions"
    response = await stub.Embed(pb.EmbedRequest(inputs=["a"], dimensions=384))
    assert len(response.embeddings[0].values) == 384


async def test_truncation_is_said_per_input(stub: Any) -> None:
    response = await stub.Embed(pb.EmbedRequest(inputs=["short", "word " * 300]))
    assert [embedding.truncated for embedding in response.embeddings] == [False, True]
    assert response.input_tokens == 3 + 256


async def test_the_most_inputs_pass_in_one_message(stub: Any) -> None:
    response = await stub.Embed(pb.EmbedRequest(inputs=[f"{number}" for number in range(2048)]))
    assert len(response.embeddings) == 2048


async def test_a_megabyte_of_text_passes(stub: Any) -> None:
    response = await stub.Embed(pb.EmbedRequest(inputs=["word " * 200_000] * 6))
    assert [embedding.truncated for embedding in response.embeddings] == [True] * 6


@pytest.mark.parametrize(
    ("inputs", "field"),
    [([], "inputs"), (["a"] * 2049, "inputs"), (["a", "b", "c", ""], "inputs[3]"), (["a" * 1_048_577], "inputs[0]")],
)
async def test_inputs_beyond_a_limit_are_named(stub: Any, inputs: list[str], field: str) -> None:
    error = await _error(stub.Embed(pb.EmbedRequest(inputs=inputs)), grpc.StatusCode.INVALID_ARGUMENT)
    assert isinstance(error, InvalidRequest)
    assert error.field == field


async def test_another_model_is_not_found(stub: Any) -> None:
    error = await _error(stub.Embed(pb.EmbedRequest(model="other", inputs=["a"])), grpc.StatusCode.NOT_FOUND)
    assert isinstance(error, ModelNotFound)
    assert error.model == "other"


async def _error(call: Any, code: grpc.StatusCode) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code
    return error_from_rpc(caught.value)


async def test_concurrent_callers_each_get_their_own(stub: Any) -> None:
    texts = [f"sentence number {number} about {topic}" for number in range(8) for topic in ("rivers", "tax law")]
    alone = [(await stub.Embed(pb.EmbedRequest(inputs=[text]))).embeddings[0] for text in texts]
    together = await asyncio.gather(*[_embed(stub, [text, "padding " * (3 * i)]) for i, text in enumerate(texts, 1)])
    for wanted, response in zip(alone, together, strict=True):
        assert _cosine(wanted, response.embeddings[0]) == pytest.approx(1, abs=1e-3)


async def _embed(stub: Any, inputs: list[str], timeout: float = 60) -> pb.EmbedResponse:
    return await stub.Embed(pb.EmbedRequest(inputs=inputs), timeout=timeout)


async def test_a_call_returns_its_step(stub: Any) -> None:
    call = stub.Embed(pb.EmbedRequest(inputs=["hello world"]))
    await call
    (step,) = steps_from_metadata(await call.trailing_metadata())
    assert (step.name, step.attributes) == ("embedding.embed", {"inputs": 1, "input_tokens": 4})


async def test_single_texts_of_many_callers_share_batches(stub: Any, service: Service) -> None:
    await asyncio.gather(*[_embed(stub, [f"text number {number}"]) for number in range(64)])
    samples = {sample.name: sample.value for metric in service.collectors[0].collect() for sample in metric.samples}
    # One is the text that the service embedded before it was ready.
    assert samples["penstock_embedding_batch_texts_sum"] == 65
    assert samples["penstock_embedding_batch_texts_count"] < 33
    assert samples["penstock_embedding_wait_seconds_count"] == 65
    assert samples["penstock_embedding_queue_texts"] == 0


async def test_a_caller_that_leaves_takes_its_texts_along(stub: Any, service: Service) -> None:
    calls = [stub.Embed(pb.EmbedRequest(inputs=[f"{caller}: text number {n}" for n in range(2048)])) for caller in "ab"]
    running = [asyncio.ensure_future(_outcome(call)) for call in calls]
    await _queue_reaches(service, lambda texts: texts > 0)
    for call in calls:
        call.cancel()
    await _queue_reaches(service, lambda texts: texts == 0)
    outcomes = await asyncio.gather(*running)
    assert outcomes == ["cancelled", "cancelled"]
    assert len((await _embed(stub, ["after"])).embeddings) == 1


async def test_a_deadline_that_cannot_be_met_ends_the_call_and_leaves_no_text(stub: Any, service: Service) -> None:
    big = _embed(stub, ["a text of some length " * 20] * 512, timeout=0.2)
    await _error(big, grpc.StatusCode.DEADLINE_EXCEEDED)
    await _queue_reaches(service, lambda texts: texts == 0)
    assert len((await _embed(stub, ["after"])).embeddings) == 1


async def _outcome(call: Any) -> str:
    try:
        await call
    except asyncio.CancelledError:
        return "cancelled"
    return "answered"


async def _queue_reaches(service: Service, wanted: Callable[[float], bool]) -> None:
    async with asyncio.timeout(30):
        while not wanted(_waiting(service)):
            await asyncio.sleep(0.001)


def _waiting(service: Service) -> float:
    samples = {sample.name: sample.value for metric in service.collectors[0].collect() for sample in metric.samples}
    return samples["penstock_embedding_queue_texts"]
