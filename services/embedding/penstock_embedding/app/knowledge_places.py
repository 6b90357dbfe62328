"""Where documents and their vectors are kept, as the settings say."""

from __future__ import annotations

from pathlib import Path

from penstock_common.configuration import ConfigurationError
from penstock_common.sections import Qdrant
from penstock_common.sql.address import DatabaseAddress
from penstock_embedding.settings import Settings, StorageSettings

_FILE = "knowledge.sqlite"


def database_url(settings: Settings | StorageSettings) -> str:
    """Return where documents are kept; empty where they are not."""
    knowledge = settings.knowledge
    url = knowledge.sql or settings.sql
    if not url or not knowledge.enabled:
        return ""
    file = DatabaseAddress.parse(url).file
    return url if knowledge.sql or file is None else f"sqlite:///{file.parent / _FILE}"


def vectors_place(settings: Settings) -> tuple[Qdrant, Path | None]:
    """Return the settings of the vectors' store: the server of section ``qdrant``, or an embedded engine of its own.

    A look that is late for the cache is no miss here: it may take half of what a way to search may,
    whose other half is for the question's vector.
    """
    patience = max(settings.qdrant.timeout, settings.knowledge.search_leg_timeout / 2)
    qdrant = settings.qdrant.model_copy(update={"timeout": patience})
    if qdrant.url:
        return qdrant, None
    file = DatabaseAddress.parse(database_url(settings)).file
    folder = settings.knowledge.path or (None if file is None else file.parent / "knowledge-vectors")
    if folder is None:
        raise ConfigurationError("'knowledge.path' is missing: name a folder for documents' vectors, or a 'qdrant.url'")
    return qdrant.model_copy(update={"path": folder}), folder
