"""What documents are kept in, and found in, for the wire formats."""

from __future__ import annotations

from penstock_gateway.adapters.services.channels import Channels
from penstock_gateway.adapters.services.files import FilesClient, NoFiles
from penstock_gateway.domain.knowledge.files import Stores
from penstock_gateway.domain.knowledge.ports import Knowledge
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.search import SearchLife
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.wire_formats.stores import StoresParts


def stores_parts(settings: Settings, channels: Channels, knowledge: Knowledge, visits: VisitParts) -> StoresParts:
    """Return the embedding service's documents and files, or what says that there are none."""
    channel = channels.embedding
    files = NoFiles() if channel is None else FilesClient(channel, settings.gateway.knowledge_timeout)
    return StoresParts(Stores(knowledge, files, channel is not None), SearchLife(visits, knowledge))
