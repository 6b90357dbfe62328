"""What the configuration says of knowledge bases, as the domain knows it."""

from __future__ import annotations

from collections.abc import Mapping

from penstock_common.contract.knowledge import SearchOptions
from penstock_common.retrieval import KnowledgeSettings
from penstock_gateway.domain.knowledge_use.use import KnowledgeUse
from penstock_gateway.settings import Settings


def use_of(settings: KnowledgeSettings) -> KnowledgeUse:
    """Return what holds for a public model."""
    return KnowledgeUse(
        bases=tuple(settings.bases),
        options=SearchOptions(
            mode=settings.mode,
            limit=settings.limit,
            min_score=settings.min_score,
            diversity=settings.diversity,
            max_per_document=settings.max_per_document,
        ),
        max_context_tokens=settings.max_context_tokens,
        when_nothing=settings.when_nothing,
        nothing_text=settings.nothing_text,
        when_unavailable=settings.when_unavailable,
        cite=settings.cite,
    )


def uses_by_name(settings: Settings) -> Mapping[str, KnowledgeUse]:
    """Return what holds for the public models that have ``knowledge``, by their names."""
    return {one.name: use_of(one.knowledge) for one in settings.models if one.knowledge is not None}
