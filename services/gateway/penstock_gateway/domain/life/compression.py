"""The step that makes context shorter: results of tools, documents, and what a user's turn quotes before its question.

Each is made shorter for the question that stands with it, never for a later one, so that it stays the same while the
conversation grows. System prompts, the user's own words and what the model wrote are never touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from penstock_common.llm.types import GenerationInput
from penstock_gateway.domain.compression.terms import Terms
from penstock_gateway.domain.life.order import Call, ChatOrder

if TYPE_CHECKING:
    from penstock_gateway.domain.compression.compressor import Compressor, Rewriter, Vectors

_ASKED_FOR = Terms()


class CompressionTold(msgspec.Struct, frozen=True, gc=False):
    """What became of a request's contexts, in tokens; ``reason`` says why one that is long enough stayed as it was."""

    tokens_before: int
    tokens: int
    reason: str = ""

    @property
    def saved(self) -> int:
        """How many tokens fewer the model reads, about."""
        return self.tokens_before - self.tokens

    def __str__(self) -> str:
        """Return it as ``x-penstock-compressed`` tells it."""
        kept = self.tokens / self.tokens_before if self.tokens_before else 1.0
        reason = f"; reason={self.reason}" if self.reason else ""
        return f"saved={self.saved}; kept={kept:.2f}{reason}"


class ContextCompression:
    """Compresses contexts by the terms of the public model; a reload exchanges all terms at once."""

    name = "compress"

    def __init__(self, by_name: Mapping[str, Terms], vectors: Vectors | None, rewriter: Rewriter | None) -> None:
        self._vectors = vectors
        self._rewriter = rewriter
        self._compressor: Compressor | None = None
        self._by_name: Mapping[str, Terms] = {}
        self.models: frozenset[str] = frozenset()
        """Public models whose requests are compressed unless they say otherwise."""
        self.take_over(by_name, rewriter)

    def take_over(self, by_name: Mapping[str, Terms], rewriter: Rewriter | None) -> None:
        """Let requests that begin from now on have these terms."""
        if rewriter is not None and self._rewriter is None:
            self._rewriter, self._compressor = rewriter, None
        self._by_name = by_name
        self.models = frozenset(name for name, terms in by_name.items() if terms.by_default)

    async def apply(self, request: GenerationInput, call: Call[ChatOrder]) -> tuple[GenerationInput, CompressionTold]:
        """Return the input with shorter contexts, and what became of them; nothing of it fails a request."""
        from penstock_gateway.domain.compression.turns import Turns

        turns = Turns(self._opened(), self._by_name.get(call.order.input.model, _ASKED_FOR))
        messages = tuple([await turns.shorter(message) for message in request.messages])
        told = CompressionTold(turns.tokens_before, turns.tokens, turns.reason)
        return (msgspec.structs.replace(request, messages=messages) if told.saved else request), told

    def _opened(self) -> Compressor:
        if self._compressor is None:
            # Few requests are compressed, and a process that compresses none does not load it.
            from penstock_gateway.domain.compression.compressor import Compressor

            self._compressor = Compressor(self._vectors, self._rewriter)
        return self._compressor
