"""What of a request vLLM carries."""

from __future__ import annotations

from penstock_inference.adapters.providers.openai.table import TABLES

TABLE = TABLES["vllm"]
