"""LLMLingua-2, where its package is installed: a token classifier that leaves words out."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import Any

import structlog

from penstock_common.errors import ServiceUnavailable

_log = structlog.get_logger(__name__)
_MOST_LOGGED = 500
_STAYS = ["\n", "[", "]", "?", "."]


def is_installed() -> bool:
    """Return whether the package is there."""
    return find_spec("llmlingua") is not None


class LlmLingua:
    """Implements ``compressor.Rewriter``. A model is loaded by its first text, and works on one at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._models: dict[str, Any] = {}

    def rewritten(self, text: str, keep: float, model: str) -> str:
        """Return the text without what the model would leave out; numbers stay, and so does what marks lines and citations.

        Raises:
            ServiceUnavailable: if the model cannot be loaded, or the package fails: it raises whatever its own libraries do.
        """
        try:
            with self._lock:
                told = self._loaded(model).compress_prompt(
                    [text], rate=keep, force_tokens=_STAYS, force_reserve_digit=True
                )
            return str(told["compressed_prompt"])
        except Exception as error:
            _log.warning("llmlingua2_failed", model=model, reason=f"{type(error).__name__}: {error}"[:_MOST_LOGGED])
            raise ServiceUnavailable(f"LLMLingua-2 failed with the model '{model}'.", service="llmlingua") from error

    def _loaded(self, model: str) -> Any:
        compressor = self._models.get(model)
        if compressor is None:
            made = import_module("llmlingua").PromptCompressor
            compressor = self._models[model] = made(model, use_llmlingua2=True, device_map="cpu")
        return compressor
