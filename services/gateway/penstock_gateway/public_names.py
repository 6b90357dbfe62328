"""Models, as far as keys, tenants and answers name them."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from penstock_common.compression import CompressionSettings
from penstock_common.configuration import Section
from penstock_common.degradation import DegradationStep, OnBudget
from penstock_common.retrieval import KnowledgeSettings
from penstock_common.sections import DEFAULT_EMBEDDING_MODEL
from penstock_common.structured_output import StructuredOutputSettings


class PublicName(Section):
    """A model that callers may ask for: what keys and tenants name, what it leads to, and what stands in for its answers."""

    model_config = ConfigDict(extra="ignore")

    name: str
    routes: dict[str, Any] = {}
    policy: str | None = None
    degradation: list[DegradationStep] = []
    on_budget: OnBudget | None = None
    compression: CompressionSettings | None = None
    knowledge: KnowledgeSettings | None = None
    structured_output: StructuredOutputSettings | None = None


class FurtherEmbeddingName(Section):
    """A further embedding model, as far as keys and tenants name it."""

    model_config = ConfigDict(extra="ignore")

    name: str


class EmbeddingName(Section):
    """The embedding models, as far as keys and tenants name them."""

    model_config = ConfigDict(extra="ignore")

    model: str = DEFAULT_EMBEDDING_MODEL
    models: list[FurtherEmbeddingName] = []

    @property
    def names(self) -> list[str]:
        """What callers may ask for."""
        return [self.model, *(further.name for further in self.models)]
