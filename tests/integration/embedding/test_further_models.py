"""Models beside the service's own: ready graphs, prefixes, revisions, and what indexes are made with."""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from penstock_common.configuration import ConfigurationError
from penstock_common.contract.embedding import EmbedRequest
from penstock_common.contract.wire.embedding import EMBED, LIST_MODELS
from penstock_common.errors import ModelNotFound
from penstock_common.testing.transports import channel_to
from penstock_embedding.adapters.model_cache import prepare
from penstock_embedding.adapters.model_files import ModelFiles, ModelSource, ReadyFiles, find_model, find_ready_model
from penstock_embedding.adapters.onnx_model import OnnxModel
from penstock_embedding.adapters.ready_onnx_model import ReadyOnnxModel
from penstock_embedding.adapters.telemetry import BatchMetrics, UpstreamMetrics
from penstock_embedding.app import build
from penstock_embedding.app.models import Observers, counters_of, found_models, registry_of
from penstock_embedding.domain.knowledge_models import ServedModels
from penstock_embedding.settings import EmbeddingSettings, Settings

TEXTS = ["What is a penstock?", "A pipe that leads water to a turbine. " * 9, "漢字", "x"]


@pytest.fixture(scope="module")
def ready_folder(model_files: ModelFiles, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as hubs have them: a graph that pools itself, a tokenizer, a window."""
    folder = tmp_path_factory.mktemp("ready")
    shutil.copy(prepare(model_files, cache_dir).graph, folder / "model.onnx")
    shutil.copy(model_files.tokenizer, folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 64}')
    return folder


def graph_of_states(path: Path, size: int) -> None:
    """Write a graph whose states are a table's rows, and which wants types as BERT does."""
    table = np.random.default_rng(7).normal(size=(size, 8)).astype(np.float32)
    shape = ["texts", "tokens"]
    nodes = [
        helper.make_node("Add", ["input_ids", "token_type_ids"], ["ids"]),
        helper.make_node("Mul", ["ids", "attention_mask"], ["kept"]),
        helper.make_node("Gather", ["table", "kept"], ["last_hidden_state"]),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*shape, 8])]
    graph = helper.make_graph(nodes, "states", inputs, outputs, [numpy_helper.from_array(table, "table")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)


def test_a_ready_graph_that_pools_itself_makes_the_same_vectors(ready_folder: Path, model: OnnxModel) -> None:
    files = find_ready_model(ModelSource("any", ready_folder))
    assert files is not None
    assert files.max_tokens == 64
    ready = ReadyOnnxModel(files)
    np.testing.assert_allclose(
        ready.run(ready.prepare(TEXTS[:1])), model.run(model.prepare(TEXTS[:1])), rtol=0, atol=1e-6
    )
    assert [text.truncated for text in ready.prepare(TEXTS)] == [False, True, False, False]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_states_are_pooled_as_the_settings_say(model_files: ModelFiles, tmp_path: Path, pooling: str) -> None:
    graph_of_states(tmp_path / "model.onnx", 31_000)
    table = numpy_helper.to_array(onnx.load(tmp_path / "model.onnx").graph.initializer[0])
    shutil.copy(model_files.tokenizer, tmp_path / "tokenizer.json")
    files = find_ready_model(ModelSource("any", tmp_path, pooling=pooling, window_tokens=32))  # type: ignore[arg-type]
    assert files is not None
    ready = ReadyOnnxModel(files)
    prepared = ready.prepare(TEXTS)
    for text, vector in zip(prepared, ready.run(prepared), strict=True):
        states = table[text.content]
        expected = states.mean(axis=0) if pooling == "mean" else states[0]
        np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)


def test_a_directory_says_how_it_pools(model_files: ModelFiles, tmp_path: Path) -> None:
    graph_of_states(tmp_path / "model.onnx", 9)
    shutil.copy(model_files.tokenizer, tmp_path / "tokenizer.json")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    source = ModelSource("any", tmp_path, window_tokens=32)
    found = find_ready_model(source)
    assert isinstance(found, ReadyFiles)
    assert found.pooling == "cls"
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(ConfigurationError, match="pools neither by the mean"):
        find_ready_model(source)


def test_a_directory_without_a_window_says_which_setting_has_one(model_files: ModelFiles, tmp_path: Path) -> None:
    graph_of_states(tmp_path / "model.onnx", 9)
    shutil.copy(model_files.tokenizer, tmp_path / "tokenizer.json")
    with pytest.raises(ConfigurationError, match="set its 'window_tokens'"):
        find_ready_model(ModelSource("any", tmp_path))


def test_what_is_no_graph_is_told(model_files: ModelFiles, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        ReadyOnnxModel(ReadyFiles(tmp_path / "model.onnx", model_files.tokenizer, 64, "mean"))


def test_weights_that_pool_by_the_first_token_are_prepared_so(model_files: ModelFiles, cache_dir: Path) -> None:
    files = find_model(ModelSource("all-MiniLM-L6-v2", pooling="cls"))
    prepared = prepare(files, cache_dir)
    assert prepared.revision != prepare(model_files, cache_dir).revision
    first = OnnxModel(files.tokenizer, prepared.graph, files.max_tokens)
    one, other = first.run(first.prepare(["a b", "c d"]))
    assert math.isclose(math.hypot(*one), 1, abs_tol=1e-5)
    assert one != other


@pytest.fixture
def settings(cache_dir: Path, ready_folder: Path) -> EmbeddingSettings:
    further = [
        {"name": "ready", "path": str(ready_folder), "query_prefix": "query: ", "passage_prefix": "passage: "},
        {"name": "bare", "path": str(ready_folder), "price": {"input": "0.02"}},
        {
            "name": "late",
            "runtime": "provider",
            "provider": {"base_url": "http://127.0.0.1:9/v1"},
            "window_tokens": 512,
        },
    ]
    section = {"cache_dir": str(cache_dir), "load": "on_first_use", "models": further}
    return Settings.model_validate({"embedding": section}).embedding


@pytest.fixture
async def models(settings: EmbeddingSettings) -> AsyncIterator[ServedModels]:
    found = found_models(settings)
    async with registry_of(found, Observers(BatchMetrics(), UpstreamMetrics(["provider"]))) as registry:
        yield ServedModels(registry, counters_of(found))


async def test_callers_ask_for_a_model_by_name_and_purpose(settings: EmbeddingSettings) -> None:
    async with build(Settings(embedding=settings)) as service, channel_to(service, "memory") as channel:
        listed = await channel.call(LIST_MODELS, None, timeout=60)
        windows = [(model.name, model.context_window_tokens) for model in listed]
        assert windows == [("all-MiniLM-L6-v2", 256), ("ready", 64), ("bare", 64), ("late", 512)]

        async def ask(text: str, model: str = "", purpose: str = "") -> tuple[list[float], str]:
            request = EmbedRequest((text,), model, purpose=purpose)  # type: ignore[arg-type]
            answer = await channel.call(EMBED, request, timeout=60)
            return list(answer.vectors[0].values), answer.revision

        plain, revision = await ask("water", "ready")
        assert await ask("query: water", "ready") == ((await ask("water", "ready", "query"))[0], revision)
        assert (await ask("passage: water", "ready"))[0] == (await ask("water", "ready", "passage"))[0] != plain
        # The same weights, and yet vectors that are not to be compared.
        assert (await ask("water", "bare", "query")) == (plain, revision)
        assert (await ask("water", "ready", "query"))[1] != revision
        assert (await ask("water"))[1] != revision
        with pytest.raises(ModelNotFound, match="'ready', 'bare', 'late' are"):
            await ask("water", "none")


async def test_an_index_is_made_with_what_its_model_wants(models: ServedModels) -> None:
    ready, bare = models.model("ready"), models.model("bare")
    assert ready is models.model("ready")
    assert models.model("").name == "all-MiniLM-L6-v2"
    assert await ready.dimension() == 384
    assert await ready.revision() != await bare.revision()
    (passage,) = await ready.passages(["water"])
    (same,) = await bare.passages(["passage: water"])
    assert list(passage) == list(same)
    question = await ready.query("water", None)
    assert list(question.vector) == list((await bare.query("query: water", None)).vector)
    assert (question.tokens, question.truncated, question.cost_nano_usd) == (5, False, 0)
    assert (await bare.query("query: water", None)).cost_nano_usd == 5 * 20
    assert (await ready.query("water " * 99, None)).truncated
    assert ready.counter.window_tokens == 64
    assert ready.counter.count(["water"]) == bare.counter.count(["passage: water"]) == [5]
    assert models.model("late").counter.count(["four words of text."]) == [8]
    with pytest.raises(ModelNotFound):
        models.model("none")


async def test_many_passages_keep_their_order(models: ServedModels) -> None:
    bare = models.model("bare")
    texts = [f"water {number}" for number in range(70)]
    vectors, (last,) = await asyncio.gather(bare.passages(texts), bare.passages(texts[-1:]))
    assert len(vectors) == 70
    assert list(vectors[-1]) == list(last) != list(vectors[0])


def test_a_name_is_one_models(ready_folder: Path) -> None:
    twice = [{"name": "all-MiniLM-L6-v2", "path": str(ready_folder)}]
    with pytest.raises(Exception, match="is taken: give each model its own"):
        Settings.model_validate({"embedding": {"models": twice}})
