"""The runtime ``triton`` over a real Triton that runs the model's weights in float32."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from batched import batched_vectors  # noqa: E402
from embedding_texts import TEXTS  # noqa: E402
from local_triton import LocalTriton  # noqa: E402

from penstock_common.configuration import ConfigurationError  # noqa: E402
from penstock_common.contract.embedding import EmbedRequest  # noqa: E402
from penstock_common.contract.wire.embedding import EMBED, LIST_MODELS  # noqa: E402
from penstock_common.errors import (  # noqa: E402
    DeadlineExceeded,
    PenstockError,
    ServiceUnavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from penstock_common.rpc.client import Channel  # noqa: E402
from penstock_common.service import Service  # noqa: E402
from penstock_common.testing.transports import channel_to  # noqa: E402
from penstock_embedding.adapters.model_files import ModelFiles  # noqa: E402
from penstock_embedding.adapters.onnx_model import OnnxModel  # noqa: E402
from penstock_embedding.app import build  # noqa: E402
from penstock_embedding.settings import Settings  # noqa: E402

NAME = "all-MiniLM-L6-v2"
LEAST_COSINE = 0.99
# A triton that starts may take its time on a busy machine.
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pipe = tmp_path_factory.mktemp("gate") / "pipe"
    os.mkfifo(pipe)
    return pipe


@pytest.fixture(scope="module")
def triton(model_files: ModelFiles, gate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    server = LocalTriton(tmp_path_factory.mktemp("triton"), model_files.weights)
    server.add(NAME)
    server.add("gated", gate=str(gate))
    server.add("other-tensors", output="sentence_embedding")
    server.add("small-batches", max_batch=8)
    for fault in ("error", "nan", "missing"):
        server.add(fault, fault=fault)
    server.start()
    yield server
    server.kill()


@contextmanager
def opened(gate: Path) -> Iterator[None]:
    """Let batches through."""
    descriptor = os.open(gate, os.O_RDWR)
    try:
        yield
    finally:
        os.close(descriptor)


@pytest.fixture
async def serve(transport: str) -> AsyncIterator[Any]:
    """A function that serves a model of a Triton for the rest of the test, and returns a channel to it."""
    async with AsyncExitStack() as stack:

        async def start(server: LocalTriton, model: str = "", **more: Any) -> Channel:
            service = await stack.enter_async_context(service_over(server, model, **more))
            return await stack.enter_async_context(channel_to(service, transport))

        yield start


def service_over(
    server: LocalTriton, model: str = "", load: str = "at_start", **triton: Any
) -> AbstractAsyncContextManager[Service]:
    section = {
        "runtime": "triton",
        "load": load,
        # The models compute in numpy: seconds, where other work runs beside them.
        "triton": {"target": server.target, "model": model, "timeout": "60s", **triton},
    }
    return build(Settings.model_validate({"embedding": section}))


async def embed(channel: Channel, *texts: str, timeout: float = 60) -> list[list[float]]:
    response = await channel.call(EMBED, EmbedRequest(texts=texts), timeout=timeout)
    return [list(vector.values) for vector in response.vectors]


async def failure_of(channel: Channel, timeout: float = 60) -> PenstockError:
    with pytest.raises(PenstockError) as failed:
        await embed(channel, "hello", timeout=timeout)
    return failed.value


async def test_vectors_agree_with_those_of_onnx_runtime(triton: LocalTriton, serve: Any, model: OnnxModel) -> None:
    texts = TEXTS[::4]
    channel = await serve(triton)
    there = np.array(await embed(channel, *texts))
    assert np.linalg.norm(there, axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-5)
    assert (there * batched_vectors(model, texts)).sum(axis=1).min() >= LEAST_COSINE


async def test_the_answer_names_the_version_there_and_the_tokenizer_here(triton: LocalTriton, serve: Any) -> None:
    channel = await serve(triton)
    response = await channel.call(EMBED, EmbedRequest(texts=("short", "word " * 300)))
    assert [vector.truncated for vector in response.vectors] == [False, True]
    assert response.input_tokens == 3 + 256
    kind, name, version, digest = response.revision.split("/")
    assert (kind, name, version, len(digest)) == ("triton", NAME, "1", 16)
    (listed,) = await channel.call(LIST_MODELS, None)
    assert (listed.name, listed.context_window_tokens) == (NAME, 256)


async def test_concurrent_callers_each_get_their_own(triton: LocalTriton, serve: Any) -> None:
    channel = await serve(triton)
    texts = [f"sentence number {number} about {topic}" for number in range(8) for topic in ("rivers", "tax law")]
    together = np.array(await embed(channel, *texts))
    singles = await asyncio.gather(*[embed(channel, text) for text in texts])
    assert (together * np.array([vector for (vector,) in singles])).sum(axis=1).min() > 0.9999


async def test_a_deadline_ends_the_call_while_triton_is_silent(triton: LocalTriton, gate: Path, serve: Any) -> None:
    channel = await serve(triton, "gated", load="on_first_use")
    assert isinstance(await failure_of(channel, timeout=0.3), DeadlineExceeded)
    with opened(gate):
        assert len(await embed(channel, "after")) == 1


async def test_silence_is_a_timeout(triton: LocalTriton, gate: Path, serve: Any) -> None:
    channel = await serve(triton, "gated", load="on_first_use", timeout="300ms")
    assert isinstance(await failure_of(channel), UpstreamTimeout)
    with opened(gate):
        pass


@pytest.mark.parametrize("fault", ["error", "nan", "missing"])
async def test_what_is_no_vector_is_a_typed_error_without_tritons_words(
    triton: LocalTriton, serve: Any, fault: str
) -> None:
    error = await failure_of(await serve(triton, fault, load="on_first_use"))
    assert isinstance(error, UpstreamFailed)
    assert error.upstream == "embedding"
    assert "0x7f" not in error.message


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("other-tensors", "gives sentence_embedding FP32 .*; wanted are input_ids and attention_mask.* to embedding"),
        ("small-batches", r"takes 8 texts at once \(max_batch_size\), and 'embedding.max_batch' is 64"),
        ("nobody", "127.0.0.1:[0-9]+ has no model 'nobody'"),
    ],
)
async def test_a_model_that_does_not_fit_is_named_at_the_start(triton: LocalTriton, model: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        async with service_over(triton, model):
            pass


async def test_a_version_that_is_not_there_is_named_at_the_start(triton: LocalTriton) -> None:
    with pytest.raises(ConfigurationError, match="'embedding.triton': .* version"):
        async with service_over(triton, version="7"):
            pass


async def test_a_triton_that_is_killed_is_a_typed_error_and_found_again(
    model_files: ModelFiles, tmp_path: Path, serve: Any
) -> None:
    server = LocalTriton(tmp_path, model_files.weights)
    server.add(NAME)
    server.start()
    try:
        channel = await serve(server, timeout="5s")
        before = await embed(channel, "hello")
        server.kill()
        error = await failure_of(channel)
        assert isinstance(error, UpstreamFailed)
        assert "UNAVAILABLE" in error.message
        await asyncio.to_thread(server.start)
        assert np.array(await eventually(channel)) == pytest.approx(np.array(before), abs=1e-5)
    finally:
        server.kill()


async def eventually(channel: Channel) -> list[list[float]]:
    async with asyncio.timeout(60):
        while True:
            with suppress(PenstockError):
                return await embed(channel, "hello")


async def test_a_triton_that_is_away_is_named_after_the_start_has_waited(
    model_files: ModelFiles, tmp_path: Path
) -> None:
    server = LocalTriton(tmp_path, model_files.weights)
    with pytest.raises(ConfigurationError, match=f"no answer from {server.target} within 0.2 s"):
        async with service_over(server, start_timeout="200ms"):
            pass


async def test_a_start_waits_for_a_triton_that_starts_later(model_files: ModelFiles, tmp_path: Path) -> None:
    server = LocalTriton(tmp_path, model_files.weights)
    server.add(NAME)
    starting = asyncio.ensure_future(asyncio.to_thread(server.start))
    try:
        async with service_over(server):
            await starting
    finally:
        await starting
        server.kill()


async def test_a_model_loaded_later_is_unavailable_while_triton_is_away(
    model_files: ModelFiles, tmp_path: Path, serve: Any
) -> None:
    server = LocalTriton(tmp_path, model_files.weights)
    channel = await serve(server, load="on_first_use")
    assert isinstance(await failure_of(channel), ServiceUnavailable)


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"runtime": "triton"}, "go together"),
        ({"triton": {"target": "triton:8001"}}, "go together"),
        ({"runtime": "triton", "triton": {"target": "http://triton:8001"}}, "triton.target"),
        ({"runtime": "triton", "triton": {"target": "triton"}}, "triton.target"),
        ({"runtime": "triton", "triton": {"target": "triton:8001", "timeout": "0s"}}, "triton.timeout"),
        ({"runtime": "triton", "triton": {"target": "triton:8001", "runs_at_once": 0}}, "triton.runs_at_once"),
    ],
)
def test_settings_that_cannot_work_are_refused(section: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Settings.model_validate({"embedding": section})


@pytest.fixture
def pair(model_files: ModelFiles, tmp_path: Path) -> Iterator[tuple[LocalTriton, LocalTriton]]:
    """Two servers of one model, the second running."""
    servers = []
    for name in ("north", "south"):
        (tmp_path / name).mkdir()
        servers.append(LocalTriton(tmp_path / name, model_files.weights))
        servers[-1].add(NAME)
    servers[1].start()
    yield servers[0], servers[1]
    for server in servers:
        server.kill()


async def test_a_standby_with_the_same_revision_serves_while_the_first_is_away(
    pair: tuple[LocalTriton, LocalTriton], serve: Any
) -> None:
    first, second = pair
    standby = {
        "name": "south",
        "target": second.target,
        "revision": "7",
        "timeout": "60s",
        "timeout_with_others": "60s",
    }
    channel = await serve(first, name="north", revision="7", timeout_with_others="60s", standbys=[standby])
    away = await channel.call(EMBED, EmbedRequest(texts=("hello",)), timeout=60)
    assert (away.upstream, away.revision.split("/")[2]) == ("south", "7")
    assert away.attempts > 1
    await asyncio.to_thread(first.start)
    async with asyncio.timeout(60):
        while (back := await channel.call(EMBED, EmbedRequest(texts=("hello",)), timeout=60)).upstream != "north":
            pass
    assert back.revision == away.revision
    assert np.array(back.vectors[0].values) == pytest.approx(np.array(away.vectors[0].values), abs=1e-5)
    second.kill()
    assert (await channel.call(EMBED, EmbedRequest(texts=("hello",)), timeout=60)).upstream == "north"
