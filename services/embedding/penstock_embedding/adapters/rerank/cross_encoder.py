"""A cross-encoder in ONNX Runtime: a directory with ``tokenizer.json`` and ``model.onnx``, as the hub's exports have them."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from penstock_common.configuration import ConfigurationError
from penstock_common.errors import DeadlineExceeded
from penstock_embedding.adapters.tokenization import read_tokenizer
from penstock_embedding.domain.retrieval.reranking import Passage

_TOKENIZER = "tokenizer.json"
# Where exports put their graph: ours and the hub's.
_GRAPHS = ("model.onnx", "onnx/model.onnx", "model_quantized.onnx", "onnx/model_quantized.onnx")
_WINDOW_TOKENS = 512
_BATCH = 8
_LOG_ERRORS = 3
_REVISION_HEX = 12
_READ_BYTES = 1024 * 1024


class CrossEncoder:
    """Scores pairs of a question and a passage in a thread, a few at once, the longest last."""

    def __init__(self, folder: Path, name: str) -> None:
        graph = next((folder / one for one in _GRAPHS if (folder / one).is_file()), None)
        if graph is None or not (folder / _TOKENIZER).is_file():
            raise ConfigurationError(
                f"'knowledge.reranker': {folder} is no cross-encoder: it needs {_TOKENIZER} and one of {', '.join(_GRAPHS)}"
            )
        self.name = f"{name} {_digest(graph)}"
        self._tokenizer: Any = read_tokenizer(folder / _TOKENIZER)
        self._tokenizer.enable_truncation(_WINDOW_TOKENS, strategy="only_second")
        self._session = _session(graph)
        self._inputs = {one.name for one in self._session.get_inputs()}
        self._output = self._session.get_outputs()[0].name
        if "input_ids" not in self._inputs:
            raise ConfigurationError(f"'knowledge.reranker': {graph} has no input 'input_ids'")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rerank")

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, name: str) -> AsyncGenerator[CrossEncoder, None]:
        """Yield one that is loaded; on exit, wait for what runs.

        Raises:
            ConfigurationError: if there is none, or it cannot be run.
        """
        encoder = await asyncio.to_thread(cls, found_folder(folder, name), name)
        try:
            yield encoder
        finally:
            await asyncio.to_thread(encoder.close)

    def close(self) -> None:
        """Wait for what runs, and drop what waits."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def scores(self, query: str, passages: Sequence[Passage], deadline: float | None) -> list[float]:
        """Return the probability that each passage answers, as ``Reranker`` says."""
        texts = ["\n".join((" > ".join(filter(None, (one.title, *one.headings))), one.text)) for one in passages]
        loop = asyncio.get_running_loop()
        encodings = await loop.run_in_executor(self._thread, self._encoded, query, texts)
        order = sorted(range(len(texts)), key=lambda at: len(encodings[at].ids))
        scores = [0.0] * len(texts)
        for start in range(0, len(order), _BATCH):
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlineExceeded("The passages cannot be reranked in time.")
            batch = order[start : start + _BATCH]
            judged = await loop.run_in_executor(self._thread, self._run, [encodings[at] for at in batch])
            for at, score in zip(batch, judged, strict=True):
                scores[at] = score
        return scores

    def _encoded(self, query: str, texts: Sequence[str]) -> Any:
        # A question may leave at least half of the window to the passage.
        head = query[: _WINDOW_TOKENS * 2]
        return self._tokenizer.encode_batch([(head, text) for text in texts])

    def _run(self, batch: Sequence[Any]) -> list[float]:
        width = max(len(one.ids) for one in batch)
        tensors = {name: np.zeros((len(batch), width), np.int64) for name in self._inputs}
        for row, one in enumerate(batch):
            of_row = {"input_ids": one.ids, "attention_mask": one.attention_mask, "token_type_ids": one.type_ids}
            for name, tensor in tensors.items():
                tensor[row, : len(one.ids)] = of_row[name]
        outputs: Any = self._session.run([self._output], tensors)
        return [_probability(row) for row in np.atleast_2d(outputs[0].reshape(len(batch), -1)).tolist()]


def found_folder(folder: Path, name: str) -> Path:
    """Return the folder of a model: the one named, or what the hub has under the name.

    Raises:
        ConfigurationError: if there is neither.
    """
    if folder.expanduser().is_dir():
        return folder.expanduser()
    if folder.is_absolute() or name.count("/") != 1:
        raise ConfigurationError(f"'knowledge.reranker': {name} is neither a directory nor a name of the hub")
    try:
        import huggingface_hub

        return Path(huggingface_hub.snapshot_download(name, allow_patterns=[_TOKENIZER, *_GRAPHS]))
    except ImportError:
        raise ConfigurationError(
            f"'knowledge.reranker' names {name}, and the package huggingface-hub is not installed"
        ) from None
    except Exception as error:
        # The hub's client raises dozens of types, its HTTP library's among them; each means: not to be had.
        raise ConfigurationError(
            f"'knowledge.reranker': {name} cannot be fetched ({type(error).__name__}); name a directory that holds it"
        ) from error


def _probability(logits: Sequence[float]) -> float:
    """Return the logistic of one logit, or the last class's share of several."""
    value = logits[0] if len(logits) == 1 else logits[-1] - math.log(sum(map(math.exp, logits[:-1])))
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, value))))


def _session(graph: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_ERRORS
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # The runtime has a type for each status of its own, without a common one.
        raise ConfigurationError(f"'knowledge.reranker': {graph} cannot be run: {error}") from error


def _digest(graph: Path) -> str:
    digest = hashlib.sha256()
    with graph.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()[:_REVISION_HEX]
