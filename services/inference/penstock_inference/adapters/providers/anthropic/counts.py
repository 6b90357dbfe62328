"""Adds up what an answer's usage says, told in several events, each of which may leave something out."""

from __future__ import annotations

from penstock_common.llm.types import Usage
from penstock_inference.adapters.providers.anthropic import chunks as wire

_MOST_TIER_CHARACTERS = 64
# What is said of the speed and the place of an answer that had no choice of them.
_USUAL = frozenset({"", "standard", "global", "not_available"})


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
        written = counts.cache_creation or wire.CacheCreation()
        for_an_hour = written.ephemeral_1h_input_tokens or 0
        split = for_an_hour + (written.ephemeral_5m_input_tokens or 0)
        details = counts.output_tokens_details or wire.OutputDetails()
        self._input = max(self._input, counts.input_tokens or 0)
        self._read = max(self._read, counts.cache_read_input_tokens or 0)
        self._written = max(self._written, counts.cache_creation_input_tokens or 0, split)
        self._written_1h = max(self._written_1h, for_an_hour)
        self._output = max(self._output, counts.output_tokens or 0)
        self._reasoning = max(self._reasoning, details.thinking_tokens or details.reasoning_tokens or 0)
        self._tier = counts.service_tier or self._tier
        self._unusual = (
            next((word for word in (counts.speed, counts.inference_geo) if (word or "") not in _USUAL), "")
            or self._unusual
        )

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
