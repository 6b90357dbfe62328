"""Adds up what an answer's usage says, told in several events, each of which may leave something out."""

from __future__ import annotations

from penstock_common.llm.types import Usage
from penstock_inference.adapters.providers.anthropic import chunks as wire

_MOST_TIER_CHARACTERS = 64
# What is said of the speed and the place of an answer that had no choice of them.
_USUAL = frozenset({"standard", "global", "not_available"})


class Counts:
    """The usage of one answer: counts are cumulative, so of each the largest is the last."""

    __slots__ = ("_input", "_output", "_read", "_reasoning", "_tier", "_unusual", "_written", "_written_1h", "is_known")

    def __init__(self) -> None:
        self._input = self._read = self._written = self._written_1h = self._output = self._reasoning = 0
        self._tier = self._unusual = ""
        self.is_known = False
        """Whether anything has been counted."""

    def add(self, raw: bytes) -> None:
        """Take in what an event says; what cannot be read says nothing."""
        if not raw or raw == b"null":
            return
        try:
            counts = wire.USAGE.decode(raw)
        except wire.UNREADABLE:
            return
        self.is_known = True
        # What it took to sum up the conversation is billed, and no part of the rest.
        billed = [counts, *(one for one in counts.iterations or () if one.type == "compaction")]
        self._input = max(self._input, sum(one.input_tokens or 0 for one in billed))
        self._read = max(self._read, sum(one.cache_read_input_tokens or 0 for one in billed))
        self._written = max(self._written, sum(map(_written, billed)))
        self._written_1h = max(self._written_1h, sum(map(_written_1h, billed)))
        self._output = max(self._output, sum(one.output_tokens or 0 for one in billed))
        details = counts.output_tokens_details or wire.OutputDetails()
        self._reasoning = max(self._reasoning, details.thinking_tokens or 0)
        self._tier = counts.service_tier or self._tier
        unusual = [word for word in (counts.speed, counts.inference_geo) if word and word not in _USUAL]
        self._unusual = unusual[0] if unusual else self._unusual

    @property
    def usage(self) -> Usage:
        """The usage so far; what the cache had and took is part of the input."""
        return Usage(
            input_tokens=self._input + self._read + self._written,
            output_tokens=self._output,
            cached_input_tokens=self._read,
            cache_write_input_tokens=self._written,
            reasoning_tokens=self._reasoning,
            cache_write_1h_input_tokens=self._written_1h,
        )

    @property
    def service_tier(self) -> str:
        """What changed the price, in the provider's word; '' where it does not tell."""
        return (self._unusual or self._tier)[:_MOST_TIER_CHARACTERS]


def _written(counts: wire.UsageCounts) -> int:
    split = counts.cache_creation or wire.CacheCreation()
    return max(
        counts.cache_creation_input_tokens or 0,
        (split.ephemeral_5m_input_tokens or 0) + (split.ephemeral_1h_input_tokens or 0),
    )


def _written_1h(counts: wire.UsageCounts) -> int:
    return (counts.cache_creation.ephemeral_1h_input_tokens or 0) if counts.cache_creation is not None else 0
