from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from penstock_common.contract.embedding import EmbedRequest, EmbedResponse, TextVector
from penstock_common.contract.wire.embedding import EMBED, LIST_MODELS
from penstock_common.errors import DeadlineExceeded, InvalidRequest, ModelNotFound, PenstockError, UnsupportedParameter
from penstock_common.rpc.client import Channel
from penstock_common.service import Service
from penstock_common.telemetry.steps import Step


def _cosine(left: TextVector, right: TextVector) -> float:
    return sum(a * b for a, b in zip(left.values, right.values, strict=True))


async def test_vectors_come_in_the_order_of_the_inputs(channel: Channel) -> None:
    inputs = ["short", "a text that is quite a bit longer than the first one " * 9, "between the two, in length"]
    together = await _embed(channel, inputs)
    assert len(together.vectors) == len(inputs)
    for text, vector in zip(inputs, together.vectors, strict=True):
        alone = (await _embed(channel, [text])).vectors[0]
        assert _cosine(vector, alone) == pytest.approx(1, abs=1e-3)


async def test_the_answer_names_model_and_revision(channel: Channel) -> None:
    default = await _embed(channel, ["hello world"])
    named = await _embed(channel, ["hello world"], model="all-MiniLM-L6-v2")
    assert default == named
    assert default.model == "all-MiniLM-L6-v2"
    assert default.revision.startswith("int8-")
    assert default.input_tokens == 4
    assert len(default.vectors[0].values) == 384
    assert _cosine(default.vectors[0], default.vectors[0]) == pytest.approx(1, abs=1e-4)


async def test_vectors_are_arrays_of_32_bit_floats_over_both_transports(channel: Channel) -> None:
    values = (await _embed(channel, ["hello world"])).vectors[0].values
    assert (type(values), values.typecode) == (array, "f")


async def test_the_answer_says_what_its_tokens_cost_and_where_it_was_made(channel: Channel) -> None:
    response = await _embed(channel, ["hello world"])
    assert response.unit_prices.input_nano_usd == 20_000_000
    assert response.upstream == "embedding"


async def test_the_one_model_is_listed(channel: Channel) -> None:
    (model,) = await channel.call(LIST_MODELS, None)
    assert (model.name, model.context_window_tokens) == ("all-MiniLM-L6-v2", 256)


async def test_dimensions_that_the_model_lacks_are_unsupported(channel: Channel) -> None:
    error = await _error(_embed(channel, ["a"], dimensions=64))
    assert isinstance(error, UnsupportedParameter)
    assert error.parameter == "dimensions"
    response = await _embed(channel, ["a"], dimensions=384)
    assert len(response.vectors[0].values) == 384


async def test_truncation_is_said_per_input(channel: Channel) -> None:
    response = await _embed(channel, ["short", "word " * 300])
    assert [embedding.truncated for embedding in response.vectors] == [False, True]
    assert response.input_tokens == 3 + 256


async def test_the_most_inputs_pass_in_one_message(channel: Channel) -> None:
    response = await _embed(channel, [f"{number}" for number in range(2048)])
    assert len(response.vectors) == 2048


async def test_a_megabyte_of_text_passes(channel: Channel) -> None:
    response = await _embed(channel, ["word " * 200_000] * 6)
    assert [embedding.truncated for embedding in response.vectors] == [True] * 6


@pytest.mark.parametrize(
    ("inputs", "field"),
    [([], "inputs"), (["a"] * 2049, "inputs"), (["a", "b", "c", ""], "inputs[3]"), (["a" * 1_048_577], "inputs[0]")],
)
async def test_inputs_beyond_a_limit_are_named(channel: Channel, inputs: list[str], field: str) -> None:
    error = await _error(_embed(channel, inputs))
    assert isinstance(error, InvalidRequest)
    assert error.field == field


async def test_another_model_is_not_found(channel: Channel) -> None:
    error = await _error(_embed(channel, ["a"], model="other"))
    assert isinstance(error, ModelNotFound)
    assert error.model == "other"


async def _error(call: Awaitable[Any]) -> PenstockError:
    with pytest.raises(PenstockError) as caught:
        await call
    return caught.value


async def test_concurrent_callers_each_get_their_own(channel: Channel) -> None:
    texts = [f"sentence number {number} about {topic}" for number in range(8) for topic in ("rivers", "tax law")]
    alone = [(await _embed(channel, [text])).vectors[0] for text in texts]
    together = await asyncio.gather(*[_embed(channel, [text, "padding " * (3 * i)]) for i, text in enumerate(texts, 1)])
    for wanted, response in zip(alone, together, strict=True):
        assert _cosine(wanted, response.vectors[0]) == pytest.approx(1, abs=1e-3)


def _embed(channel: Channel, texts: Sequence[str], timeout: float = 60, **fields: Any) -> Awaitable[EmbedResponse]:
    return channel.call(EMBED, EmbedRequest(texts=texts, **fields), timeout=timeout)


async def test_a_call_leaves_its_step(channel: Channel) -> None:
    steps: list[Step] = []
    await channel.call(EMBED, EmbedRequest(texts=("hello world",)), steps=steps)
    (step,) = steps
    assert (step.name, step.attributes) == ("embedding.embed", {"inputs": 1, "input_tokens": 4})


async def test_single_texts_of_many_callers_share_batches(channel: Channel, service: Service) -> None:
    await asyncio.gather(*[_embed(channel, [f"text number {number}"]) for number in range(64)])
    samples = {sample.name: sample.value for metric in service.collectors[0].collect() for sample in metric.samples}
    # One is the text that the service embedded before it was ready.
    assert samples["penstock_embedding_batch_texts_sum"] == 65
    assert samples["penstock_embedding_batch_texts_count"] < 33
    assert samples["penstock_embedding_wait_seconds_count"] == 65
    assert samples["penstock_embedding_queue_texts"] == 0


async def test_a_caller_that_leaves_takes_its_texts_along(channel: Channel, service: Service) -> None:
    calls = [[f"{caller}: text number {n}" for n in range(2048)] for caller in "ab"]
    running = [asyncio.ensure_future(_embed(channel, texts)) for texts in calls]
    await _queue_reaches(service, lambda texts: texts > 0)
    for task in running:
        task.cancel()
    await _queue_reaches(service, lambda texts: texts == 0)
    await asyncio.wait(running)
    assert [task.cancelled() for task in running] == [True, True]
    assert len((await _embed(channel, ["after"])).vectors) == 1


async def test_a_deadline_that_cannot_be_met_ends_the_call_and_leaves_no_text(
    channel: Channel, service: Service
) -> None:
    big = _embed(channel, ["a text of some length " * 20] * 512, timeout=0.2)
    assert type(await _error(big)) is DeadlineExceeded
    await _queue_reaches(service, lambda texts: texts == 0)
    assert len((await _embed(channel, ["after"])).vectors) == 1


async def _queue_reaches(service: Service, wanted: Callable[[float], bool]) -> None:
    async with asyncio.timeout(60):
        while not wanted(_waiting(service)):
            await asyncio.sleep(0.001)


def _waiting(service: Service) -> float:
    samples = {sample.name: sample.value for metric in service.collectors[0].collect() for sample in metric.samples}
    return samples["penstock_embedding_queue_texts"]
