"""A cross-encoder of a graph that the test builds: it counts the tokens that question and passage share a row with."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import onnx
import pytest
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from penstock_common.configuration import ConfigurationError
from penstock_common.errors import DeadlineExceeded
from penstock_embedding.adapters.rerank import open_reranker
from penstock_embedding.domain.retrieval.reranking import Passage

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "good", "bad"]


@pytest.fixture
def folder(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    _save_graph(tmp_path / "model.onnx")
    return tmp_path


def _save_graph(path) -> None:
    """The logit: tokens 'good' in the passage less tokens 'bad', padding masked."""
    nodes = []
    for word in ("good", "bad"):
        nodes += [
            helper.make_node("Equal", ["input_ids", word], [f"is_{word}"]),
            helper.make_node("Cast", [f"is_{word}"], [f"one_{word}"], to=TensorProto.INT64),
            helper.make_node("Mul", [f"one_{word}", "token_type_ids"], [f"there_{word}"]),
        ]
    nodes += [
        helper.make_node("Sub", ["there_good", "there_bad"], ["difference"]),
        helper.make_node("Mul", ["difference", "attention_mask"], ["seen"]),
        helper.make_node("ReduceSum", ["seen", "axis"], ["sum"], keepdims=1),
        helper.make_node("Cast", ["sum"], ["logits"], to=TensorProto.FLOAT),
    ]
    constants = [
        helper.make_tensor("good", TensorProto.INT64, [1], [WORDS.index("good")]),
        helper.make_tensor("bad", TensorProto.INT64, [1], [WORDS.index("bad")]),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
    ]
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in names]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1])]
    graph = helper.make_graph(nodes, "counts", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(path))


def _scores(model: str, query: str, texts: list[str], deadline: float | None = None) -> list[float]:
    async def run() -> list[float]:
        async with AsyncExitStack() as stack:
            reranker = await open_reranker(model, stack)
            assert model in reranker.name
            return await reranker.scores(query, [Passage("", (), text) for text in texts], deadline)

    return asyncio.run(run())


def test_passages_are_scored_in_their_order_whatever_their_length(folder) -> None:
    texts = ["good " * count + "bad " * (20 - count) for count in range(20)] + ["", "bad", "good", "x " * 2000]
    scores = _scores(str(folder), "good good", texts)
    assert scores[:20] == sorted(scores[:20]) and scores[20] == scores[23] == 0.5
    assert scores[21] == pytest.approx(0.2689, abs=1e-4) and scores[22] == pytest.approx(0.7311, abs=1e-4)


def test_a_deadline_ends_it_between_batches(folder) -> None:
    with pytest.raises(DeadlineExceeded):
        _scores(str(folder), "good", ["good"], time.monotonic() - 1)


@pytest.mark.parametrize(
    ("missing", "told"), [("model.onnx", "is no cross-encoder"), ("tokenizer.json", "is no cross-encoder")]
)
def test_a_folder_without_a_model_is_refused(folder, missing: str, told: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(ConfigurationError, match=told):
        _scores(str(folder), "good", [])


def test_a_broken_graph_and_a_name_that_is_nothing_are_refused(folder) -> None:
    (folder / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ConfigurationError, match="cannot be run"):
        _scores(str(folder), "good", [])
    with pytest.raises(ConfigurationError, match="neither a directory nor"):
        _scores("/nowhere/at/all", "good", [])
