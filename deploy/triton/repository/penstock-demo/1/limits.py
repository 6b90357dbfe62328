"""How much the model takes on at once: the `parameters` of config.pbtxt."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

BYTES_PER_MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Each field is a parameter of the same name."""

    active_sequences: int = 64  # slots of the KV cache, 3 MiB each at the full context
    queued_requests: int = 512  # beyond the slots; more are refused
    prefill_tokens_per_step: int = 128  # of prompts, so that running answers wait a few milliseconds at most
    prefix_cache_mib: int = 64  # keys and values of earlier prompts, about 170 tokens a MiB; 0: none

    def __post_init__(self) -> None:
        """Refuse what could never run; raises ValueError."""
        if self.active_sequences < 1 or self.prefill_tokens_per_step < 1:
            raise ValueError("active_sequences and prefill_tokens_per_step must be at least 1")
        if self.queued_requests < 0 or self.prefix_cache_mib < 0:
            raise ValueError("queued_requests and prefix_cache_mib must not be negative")

    @property
    def prefix_cache_bytes(self) -> int:
        """The prefix cache's size."""
        return self.prefix_cache_mib * BYTES_PER_MIB


def limits_of(model_config: Mapping[str, Any]) -> Limits:
    """The limits that a model's configuration sets; raises ValueError for a parameter that nobody knows."""
    said = {name: value["string_value"] for name, value in model_config.get("parameters", {}).items()}
    known = [item.name for item in fields(Limits)]
    if unknown := sorted(set(said) - set(known)):
        raise ValueError(f"unknown parameter {unknown[0]!r} in config.pbtxt, known: {', '.join(known)}")
    return Limits(**{name: int(value) for name, value in said.items()})
