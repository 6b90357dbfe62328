"""What of a request Vertex AI carries for Google's models; for Anthropic's it is what ``anthropic`` carries."""

from __future__ import annotations

from penstock_inference.adapters.providers.gemini.table import TABLE

__all__ = ["TABLE"]
