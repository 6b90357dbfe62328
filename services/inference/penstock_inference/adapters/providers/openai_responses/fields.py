"""Which top-level fields the Responses API takes, beyond those that the contract has fields for."""

from __future__ import annotations

from penstock_common.llm.hints import HINTS
from penstock_inference.adapters.providers.openai.fields import READ as READ_OF_CHAT

# https://platform.openai.com/docs/api-reference/responses/create, as of openai-python 3.52. Storing is ours to decide: never.
TAKEN = (HINTS - {"store"}) | {"context_management", "max_tool_calls", "moderation", "stream_options", "truncation"}
READ = (READ_OF_CHAT - {"stream_options"}) | {
    "background", "conversation", "include", "input", "instructions", "max_output_tokens", "previous_response_id", "text",
}  # fmt: skip
"""Fields that decide what is asked, or where it is kept: an extra field never sets one."""
