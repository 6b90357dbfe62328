"""What texts are measured with, by what is known of a model's tokenizer."""

from __future__ import annotations

import re
import threading
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate

from penstock_embedding.domain.chunking.piece import Measured, TokenCounter

_WORD = re.compile(r"[^\s!-/:-@\[-`{-~\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,100}\s*+|\S\s*+|\s++")
_BYTES_PER_TOKEN = 3


class DeferredCounter:
    """A ``TokenCounter`` whose tokenizer is read when it first counts; ``window_tokens`` may be known before."""

    def __init__(self, window_tokens: int, read: Callable[[], TokenCounter]) -> None:
        self._window_tokens = window_tokens
        self._read = read
        self._counter: TokenCounter | None = None
        self._lock = threading.Lock()

    @property
    def window_tokens(self) -> int:
        """The model's window."""
        return self._window_tokens or self._loaded().window_tokens

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text, as ``TokenCounter`` says."""
        return self._loaded().count(texts)

    def measure(self, text: str) -> Measured:
        """Return the words of a text, as ``TokenCounter`` says."""
        return self._loaded().measure(text)

    def _loaded(self) -> TokenCounter:
        with self._lock:
            if self._counter is None:
                self._counter = self._read()
            return self._counter


class EstimatingCounter:
    """A ``TokenCounter`` of a model whose tokenizer nobody here knows: three bytes of a word, or a sign, are a token.

    Tokenizers of the larger providers make fewer of most texts.
    """

    def __init__(self, window_tokens: int, prefix: str = "") -> None:
        self._window_tokens = window_tokens
        self._prefix = prefix

    @property
    def window_tokens(self) -> int:
        """What the settings say of the model's window; 0 where they do not."""
        return self._window_tokens

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return an estimate of each text's tokens."""
        prefix = self.measure(self._prefix).sums[-1]
        return [prefix + self.measure(text).sums[-1] for text in texts]

    def measure(self, text: str) -> Measured:
        """Return the words of a text, and estimates of their tokens."""
        words = _WORD.findall(text)
        starts = array("I", accumulate(map(len, words), initial=0))
        sums = array("I", accumulate(map(_tokens_of, words), initial=0))
        return Measured(starts, sums, ())


def _tokens_of(word: str) -> int:
    content = word.rstrip()
    return -(-len(content.encode()) // _BYTES_PER_TOKEN)
