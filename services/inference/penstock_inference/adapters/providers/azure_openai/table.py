"""What of a request Azure OpenAI carries: what OpenAI's own chat completions do."""

from __future__ import annotations

from penstock_inference.adapters.providers.openai.table import TABLE

__all__ = ["TABLE"]
