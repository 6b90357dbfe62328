"""Which fields of its own the Messages API takes, and the betas that go with some.

What is not here is sent where the configuration declares ``passthrough``, and follows the public model's ``unsupported``
elsewhere.
"""

from __future__ import annotations

KNOWN = frozenset(
    {
        # https://platform.claude.com/docs/en/api/messages, and the betas of anthropic-python 0.121. What is a field of the
        # contract is not here, nor is what changes the price (`domain/tiers`).
        "cache_control",
        "container",
        "context_management",
        "diagnostics",
        "mcp_servers",
        "output_config",
        "thinking",
    }
)
READ = frozenset(
    {
        "model", "messages", "system", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "temperature",
        "top_p", "top_k", "stop", "stop_sequences", "seed", "frequency_penalty", "presence_penalty", "tools", "tool_choice",
        "parallel_tool_calls", "response_format", "output_format", "reasoning_effort", "logprobs", "top_logprobs",
        "functions", "function_call", "metadata",
    }
)  # fmt: skip
"""Fields that decide what is asked of whom and what it costs, or that the contract has fields for: an extra field never sets one."""

ASKED_BETAS = "anthropic_beta"
"""A field that is none of the format's: a list of values of the header ``anthropic-beta`` for this request, as Bedrock has it."""

FILES_BETA = "files-api-2025-04-14"
BETA_OF_FIELD = {
    "context_management": "context-management-2025-06-27",
    "mcp_servers": "mcp-client-2025-11-20",
    "speed": "fast-mode-2026-02-01",
}
"""What has to be in ``anthropic-beta`` for a field to be taken, in the version that is known here."""

_DATE_CHARACTERS = len("-2026-01-01")


def betas_sent(wanted: list[str], needed: list[str], denied: frozenset[str]) -> str:
    """Return the value of ``anthropic-beta``: what is wanted, and what is needed for the fields that are sent.

    A feature that is wanted in some version is not asked for in another.
    """
    sent = list(dict.fromkeys(wanted))
    features = {_feature(beta) for beta in sent}
    sent += [beta for beta in dict.fromkeys(needed) if _feature(beta) not in features]
    return ",".join(beta for beta in sent if beta not in denied)


def _feature(beta: str) -> str:
    return beta[:-_DATE_CHARACTERS]
