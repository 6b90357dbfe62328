"""What documents are kept in, for the wire formats."""

from __future__ import annotations

from datetime import timedelta

from penstock_gateway.adapters.services.channels import Channels
from penstock_gateway.adapters.services.files import FilesClient, NoFiles
from penstock_gateway.adapters.services.knowledge import KnowledgeClient, NoKnowledge
from penstock_gateway.domain.knowledge.files import Stores

_TIMEOUT = timedelta(seconds=60)
_SEARCH_TIMEOUT = timedelta(seconds=20)


def stores_of(channels: Channels) -> Stores:
    """Return the embedding service's documents and files, or what says that there are none."""
    if channels.embedding is None:
        return Stores(NoKnowledge(), NoFiles())
    return Stores(
        KnowledgeClient(channels.embedding, _SEARCH_TIMEOUT, _TIMEOUT), FilesClient(channels.embedding, _TIMEOUT)
    )
