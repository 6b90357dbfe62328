"""Runs a prepared graph in ONNX Runtime. Blocking: see ``model_worker``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from penstock_embedding.adapters.tokenization import WindowTokenizer, tensors_of
from penstock_embedding.domain.batching import PreparedText
from penstock_embedding.domain.embedder import Vector

# ONNX Runtime's own log: only what stops it.
_LOG_ERRORS = 3


class OnnxModel:
    """A tokenizer and a session; ``max_tokens`` includes the special tokens."""

    def __init__(self, tokenizer: Path, graph: Path, max_tokens: int) -> None:
        self._tokenizer = WindowTokenizer(tokenizer, max_tokens)
        self._session = onnxruntime.InferenceSession(str(graph), session_options(), providers=["CPUExecutionProvider"])

    def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        """Return the texts' tokens, in order, cut to the window."""
        return self._tokenizer.prepare(texts)

    def run(self, batch: Sequence[PreparedText]) -> list[Vector]:
        """Return the vectors of texts that run together."""
        token_ids, mask = tensors_of(batch)
        outputs: Any = self._session.run(["embedding"], {"input_ids": token_ids, "attention_mask": mask})
        return outputs[0].tolist()


def session_options() -> onnxruntime.SessionOptions:
    """Return how a graph runs: in one thread, beside the event loop's."""
    options = onnxruntime.SessionOptions()
    # Measured: one thread beats two on matrices this small, and leaves the other core to the loop.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _LOG_ERRORS
    return options
