"""The documents' part of the composition: who keeps them, and who searches."""

from __future__ import annotations

from penstock_gateway.adapters.services.channels import Channels
from penstock_gateway.adapters.services.knowledge import KnowledgeClient, NoKnowledge
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.app.parts import Parts
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.knowledge.administration import KnowledgeAdministration
from penstock_gateway.domain.knowledge.ports import Knowledge
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.search import SearchLife
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.arrival import Reception
from penstock_gateway.surfaces.grpc.admin import actors_of
from penstock_gateway.surfaces.grpc.knowledge import KnowledgeServicer, SearchesOfTenants


def knowledge_of(settings: Settings, channels: Channels) -> Knowledge:
    """Return where documents are kept."""
    if channels.embedding is None:
        return NoKnowledge()
    own = settings.gateway
    return KnowledgeClient(channels.embedding, own.knowledge_search_timeout, own.knowledge_timeout)


def knowledge_servicer(
    settings: Settings,
    knowledge: Knowledge,
    shared: tuple[TenantDirectory, VisitParts],
    parts: Parts,
    reception: Reception,
) -> KnowledgeServicer:
    """Return what serves documents."""
    directory, visits = shared
    administration = KnowledgeAdministration(knowledge, directory, SqlRegistry(parts.engine))
    searches = SearchesOfTenants(reception, SearchLife(visits, knowledge))
    return KnowledgeServicer(administration, actors_of(reception), searches, settings.gateway.stream_timeout)
