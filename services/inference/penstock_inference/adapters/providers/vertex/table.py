"""What of a request Vertex AI carries, by the publisher of the model."""

from __future__ import annotations

from penstock_inference.adapters.providers.anthropic.table import TABLE as TABLE_OF_CLAUDE
from penstock_inference.adapters.providers.gemini.table import TABLE

__all__ = ["TABLE", "TABLE_OF_CLAUDE"]
