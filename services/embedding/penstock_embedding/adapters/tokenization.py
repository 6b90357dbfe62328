"""Texts as token ids, and token ids as the tensors of a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from penstock_common.configuration import ConfigurationError
from penstock_embedding.domain.batching import PreparedText

# Enough for any window of prose; what has fewer tokens in it is tokenized whole.
_HEAD_CHARACTERS_PER_TOKEN = 16
_FEW_TEXTS = 4
_DIGEST_HEX = 16


class Tensors(NamedTuple):
    """Token ids and attention mask, both int64 ``[texts, tokens]``."""

    token_ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.int64]


def read_tokenizer(path: Path) -> Any:
    """Return the tokenizer of a file, without the padding and the window that the file may ask for.

    Raises:
        ConfigurationError: if there is none in it.
    """
    try:
        tokenizer: Any = Tokenizer.from_file(str(path))
    except Exception as error:
        # The library has no type of its own for what it cannot read.
        raise ConfigurationError(f"{path} is no tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class WindowTokenizer:
    """A tokenizers file and a window; ``max_tokens`` includes the special tokens.

    Raises:
        ConfigurationError: if the file holds no tokenizer.
    """

    def __init__(self, tokenizer: Path, max_tokens: int) -> None:
        content = tokenizer.read_bytes()
        self._tokenizer = read_tokenizer(tokenizer)
        self._max_tokens = max_tokens
        self._head_characters = max_tokens * _HEAD_CHARACTERS_PER_TOKEN
        self.digest = hashlib.sha256(content + str(max_tokens).encode()).hexdigest()[:_DIGEST_HEX]
        """Of the file and the window: what shapes the token ids."""

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
