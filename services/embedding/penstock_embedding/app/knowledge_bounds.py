"""What the settings of section ``knowledge`` mean."""

from __future__ import annotations

from penstock_embedding.domain.documents.limits import ParsingLimits
from penstock_embedding.domain.knowledge.building import BuildPace
from penstock_embedding.domain.knowledge.documents import Bounds
from penstock_embedding.domain.knowledge.indexes import Judging
from penstock_embedding.domain.knowledge.ingest import Pace
from penstock_embedding.domain.knowledge.records import Limits
from penstock_embedding.domain.retrieval.bounds import SearchLimits
from penstock_embedding.settings import KnowledgeSettings


def parsing_limits(settings: KnowledgeSettings) -> ParsingLimits:
    """Return what one document may take of whoever reads it."""
    workers = settings.ingest_concurrency + bool(settings.ingest_small_bytes)
    return ParsingLimits(input_bytes=settings.max_document_bytes, workers=workers)


def pace_of(settings: KnowledgeSettings) -> Pace:
    """Return how documents are taken in."""
    return Pace(
        workers=settings.ingest_concurrency,
        attempts=settings.ingest_attempts,
        first_pause=settings.ingest_retry.total_seconds(),
        lease=settings.lease.total_seconds(),
        small_bytes=settings.ingest_small_bytes,
    )


def build_pace_of(settings: KnowledgeSettings) -> BuildPace:
    """Return how versions are built, and kept."""
    return BuildPace(
        rate=settings.build_rate,
        lease=settings.lease.total_seconds(),
        kept=settings.kept_versions,
        kept_for=settings.kept_for,
    )


def bounds_of(settings: KnowledgeSettings) -> Bounds:
    """Return the most of a tenant, and of a document."""
    limits = Limits(
        bases=settings.max_bases_of_a_tenant,
        documents=settings.max_documents_of_a_tenant,
        bytes=settings.max_bytes_of_a_tenant,
    )
    return Bounds(limits, settings.max_document_bytes)


def search_limits_of(settings: KnowledgeSettings) -> SearchLimits:
    """Return what a search may cost."""
    return SearchLimits(
        candidates=settings.search_candidates,
        leg_timeout=settings.search_leg_timeout.total_seconds(),
        start_timeout=settings.search_start_timeout.total_seconds(),
        rerank_timeout=settings.rerank_timeout.total_seconds(),
        rerank_candidates=settings.rerank_candidates,
    )


def judging_of(settings: KnowledgeSettings) -> Judging:
    """Return how versions are compared."""
    return Judging(
        least_queries=settings.least_evaluation_queries,
        most_queries=settings.most_evaluation_queries,
        allowed_loss=settings.allowed_loss,
        modes=settings.evaluation_modes,
    )
