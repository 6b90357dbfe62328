"""What of a request Azure OpenAI carries: what OpenAI's own interfaces do."""

from __future__ import annotations

from penstock_inference.adapters.providers.openai.table import TABLE as TABLE_OF_CHAT
from penstock_inference.adapters.providers.openai_responses.table import TABLE as TABLE_OF_RESPONSES

TABLE = TABLE_OF_CHAT

__all__ = ["TABLE", "TABLE_OF_CHAT", "TABLE_OF_RESPONSES"]
