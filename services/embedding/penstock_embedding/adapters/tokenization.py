"""Texts as token ids, and token ids as the tensors of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from penstock_embedding.domain.batching import PreparedText

# Enough for any window of prose; what has fewer tokens in it is tokenized whole.
_HEAD_CHARACTERS_PER_TOKEN = 16
_FEW_TEXTS = 4


class Tensors(NamedTuple):
    """Token ids and attention mask, both int64 ``[texts, tokens]``."""

    token_ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.int64]


class WindowTokenizer:
    """A tokenizers file and a window; ``max_tokens`` includes the special tokens."""

    def __init__(self, tokenizer: Path, max_tokens: int) -> None:
        self._tokenizer: Any = Tokenizer.from_file(str(tokenizer))
        # The file may ask for padding and a window of its own.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._max_tokens = max_tokens
        self._head_characters = max_tokens * _HEAD_CHARACTERS_PER_TOKEN

    def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        """Return the texts' tokens, in order, cut to the window."""
        heads = [text[: self._head_characters] for text in texts]
        if len(heads) <= _FEW_TEXTS:
            # A batch would go to the tokenizer's threads, which look for more for a while: 50 us of a processor each.
            encodings = [self._tokenizer.encode(head) for head in heads]
        else:
            encodings = self._tokenizer.encode_batch_fast(heads)
        return [self._cut(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]

    def _cut(self, text: str, encoding: Encoding) -> PreparedText:
        token_ids: list[int] = encoding.ids
        if len(token_ids) <= self._max_tokens:
            if len(text) <= self._head_characters:
                return PreparedText(token_ids, len(token_ids), truncated=False)
            token_ids = self._tokenizer.encode(text).ids
        if len(token_ids) <= self._max_tokens:
            return PreparedText(token_ids, len(token_ids), truncated=False)
        # The last one separates texts and closes every text.
        return PreparedText([*token_ids[: self._max_tokens - 1], token_ids[-1]], self._max_tokens, truncated=True)


def tensors_of(batch: Sequence[PreparedText]) -> Tensors:
    """Return the tensors of texts that run together, padded to the longest."""
    width = max(text.tokens for text in batch)
    token_ids = np.zeros((len(batch), width), np.int64)
    mask = np.zeros((len(batch), width), np.int64)
    for row, text in enumerate(batch):
        token_ids[row, : text.tokens] = text.content
        mask[row, : text.tokens] = 1
    return Tensors(token_ids, mask)
