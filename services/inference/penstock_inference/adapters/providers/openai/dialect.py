"""How servers of the format differ, as far as it is known before they are asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from penstock_common.rpc.scope import RequestScope
from penstock_inference.adapters.providers.openai.fields import OF_COMPATIBLE, OF_OLLAMA, OF_OPENAI, OF_VLLM


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server differs from the others that speak this format."""

    max_tokens_field: str = "max_tokens"
    stream_options: bool = True
    """Takes ``stream_options.include_usage``."""
    developer_role: bool = False
    """Knows the role; elsewhere it is the system's."""
    top_k: bool = True
    fetches_urls: bool = False
    """Fetches http(s) images. Self-hosted servers would do so from inside our network."""
    files: bool = False
    choices: bool = True
    """Takes ``n``."""
    logprobs: bool = True
    zero_top_p: bool = False
    """Takes a ``top_p`` of 0, which leaves one token, as the smallest number does."""
    custom_tools: bool = False
    """Takes tools of free text, and ``allowed_tools`` as a choice among tools."""
    fields: frozenset[str] = OF_COMPATIBLE
    """Top-level fields that it takes, of those that we do not read."""
    service_tiers: bool = False
    """Takes a field for the tier of service: one of its models has prices for some."""
    passthrough: bool = False
    """Takes top-level fields that we do not know."""
    extras: bool = True
    """Takes back what an answer carried beside its text, or does not mind it."""
    reasoning_field: str = "reasoning_content"
    """Where a turn's reasoning stands that is handed back."""
    nulls: bool = True
    """Takes a field that says nothing."""
    fields_of_scope: Callable[[RequestScope], Mapping[str, object]] | None = None
    """Makes top-level fields from who asks; they stand in the place of a caller's."""
    signed_calls: bool = False
    """Refuses a turn's calls without a thought signature (Gemini)."""
    reasoned_turns: bool = False
    """Refuses a turn without its reasoning (DeepSeek)."""
    says_continued: bool = False
    """Begins a new turn after an assistant's, unless ``continue_final_message`` is said (vLLM)."""


DIALECTS = {
    "openai": Dialect(
        max_tokens_field="max_completion_tokens",
        developer_role=True,
        top_k=False,
        fetches_urls=True,
        files=True,
        zero_top_p=True,
        custom_tools=True,
        fields=OF_OPENAI,
        extras=False,
    ),
    "openai_compatible": Dialect(),
    "vllm": Dialect(fields=OF_VLLM, says_continued=True),
    "ollama": Dialect(top_k=False, choices=False, logprobs=False, fields=OF_OLLAMA),
}
