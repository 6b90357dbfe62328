"""Runs a prepared graph in ONNX Runtime. Blocking: see ``model_worker``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from penstock_embedding.domain.batching import PreparedText
from penstock_embedding.domain.embedder import Vector

# Enough for any window of prose; what has fewer tokens in it is tokenized whole.
_HEAD_CHARACTERS_PER_TOKEN = 16
_FEW_TEXTS = 4
# ONNX Runtime's own log: only what stops it.
_LOG_ERRORS = 3


class OnnxModel:
    """A tokenizer and a session; ``max_tokens`` includes the special tokens."""

    def __init__(self, tokenizer: Path, graph: Path, max_tokens: int) -> None:
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(tokenizer))
        # The file may ask for padding and a window of its own.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.max_tokens = max_tokens
        self._head_characters = max_tokens * _HEAD_CHARACTERS_PER_TOKEN
        self._session = onnxruntime.InferenceSession(str(graph), _session_options(), providers=["CPUExecutionProvider"])

    def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        """Return the texts' tokens, in order, cut to the window."""
        heads = [text[: self._head_characters] for text in texts]
        if len(heads) <= _FEW_TEXTS:
            # A batch would go to the tokenizer's threads, which look for more for a while: 50 us of a processor each.
            encodings = [self._tokenizer.encode(head) for head in heads]
        else:
            encodings = self._tokenizer.encode_batch_fast(heads)
        return [self._cut(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]

    def run(self, batch: Sequence[PreparedText]) -> list[Vector]:
        """Return the vectors of texts that run together."""
        width = max(text.tokens for text in batch)
        token_ids = np.zeros((len(batch), width), np.int64)
        mask = np.zeros((len(batch), width), np.int64)
        for row, text in enumerate(batch):
            token_ids[row, : text.tokens] = text.content
            mask[row, : text.tokens] = 1
        outputs: Any = self._session.run(["embedding"], {"input_ids": token_ids, "attention_mask": mask})
        return outputs[0].tolist()

    def _cut(self, text: str, encoding: Encoding) -> PreparedText:
        token_ids: list[int] = encoding.ids
        if len(token_ids) <= self.max_tokens:
            if len(text) <= self._head_characters:
                return PreparedText(token_ids, len(token_ids), truncated=False)
            token_ids = self._tokenizer.encode(text).ids
        if len(token_ids) <= self.max_tokens:
            return PreparedText(token_ids, len(token_ids), truncated=False)
        # The last one separates texts and closes every text.
        return PreparedText([*token_ids[: self.max_tokens - 1], token_ids[-1]], self.max_tokens, truncated=True)


def _session_options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # Measured: one thread beats two on matrices this small, and leaves the other core to the loop.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _LOG_ERRORS
    return options
