"""The formats that there are, and which of them a path belongs to."""

from __future__ import annotations

from collections.abc import Mapping

from penstock_faults.anthropic.format import AnthropicFormat
from penstock_faults.azure.format import AzureFormat
from penstock_faults.bedrock.format import BedrockFormat
from penstock_faults.gemini.format import GeminiFormat
from penstock_faults.http.format import Format
from penstock_faults.ollama.format import OllamaFormat
from penstock_faults.openai.format import ChatFormat
from penstock_faults.openai_responses.format import ResponsesFormat

# Whoever looks closer stands first.
_FORMATS: tuple[Format, ...] = (
    ResponsesFormat(), AzureFormat(), AnthropicFormat(), GeminiFormat(), BedrockFormat(), OllamaFormat(), ChatFormat(),
)  # fmt: skip
FORMATS: Mapping[str, Format] = {form.name: form for form in _FORMATS}
"""By the names of their wires."""


def format_of(path: str, otherwise: str = "openai") -> Format:
    """Return the format that a path without its query belongs to, ``otherwise`` where it is nobody's."""
    return next((form for form in _FORMATS if form.answers(path)), FORMATS[otherwise])
