"""LLMLingua-2, where its package is installed: a token classifier that leaves words out."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import Any

_MODEL = "microsoft/llmlingua-2-bert-base-multilingual-cased-meetingbank"
_STAYS = ["\n", "[", "]", "?", "."]


def is_installed() -> bool:
    """Return whether the package is there."""
    return find_spec("llmlingua") is not None


class LlmLingua:
    """Implements ``compressor.Rewriter``. The model is loaded by the first text, and works on one at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._model: Any = None

    def rewritten(self, text: str, question: str, keep: float) -> str:
        """Return the text without what the model would leave out; numbers stay, and so does what marks lines and citations."""
        with self._lock:
            if self._model is None:
                made = import_module("llmlingua").PromptCompressor
                self._model = made(_MODEL, use_llmlingua2=True, device_map="cpu")
            told = self._model.compress_prompt([text], rate=keep, force_tokens=_STAYS, force_reserve_digit=True)
        return str(told["compressed_prompt"])
