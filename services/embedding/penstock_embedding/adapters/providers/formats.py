"""The formats of embeddings that providers are asked in, by the names that the configuration uses."""

from __future__ import annotations

from collections.abc import Mapping

from penstock_embedding.adapters.providers.format import EmbeddingFormat
from penstock_embedding.adapters.providers.gemini.format import GeminiEmbeddings
from penstock_embedding.adapters.providers.openai.format import OpenAIEmbeddings

OPENAI = "openai"
FORMATS: Mapping[str, EmbeddingFormat] = {OPENAI: OpenAIEmbeddings(), "gemini": GeminiEmbeddings()}
