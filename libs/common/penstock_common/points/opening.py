"""The engine that section ``qdrant`` names."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from pathlib import Path

from penstock_common.faults import ConfigurationError
from penstock_common.points.gated import patience_of
from penstock_common.points.store import Engine
from penstock_common.sections import Qdrant


def open_points(settings: Qdrant, folder: Path | None = None) -> AbstractAsyncContextManager[Engine]:
    """Return the context of the engine: the server at ``url``, or that embedded in ``path``, or in ``folder`` without.

    Each needs a package of its own, and neither is loaded for the other.

    Raises:
        ConfigurationError: if neither is named, a package is missing, or the engine cannot be used.
    """
    if settings.url:
        if find_spec("qdrant_client") is None:
            raise ConfigurationError(
                "'qdrant.url': a server needs the package qdrant-client, which is missing: install it with "
                "`pip install 'penstock-common[qdrant]'`"
            )
        from penstock_common.points.server.engine import open_server

        return open_server(settings)
    path = settings.path or folder
    if path is None:
        raise ConfigurationError(
            "'qdrant.url' is missing: name a server, such as http://qdrant:6334, or a 'qdrant.path'"
        )
    from penstock_common.points.edge.engine import open_edge
    from penstock_common.points.edge.messages import Settings

    kept = Settings(
        quantization=settings.quantization,
        hnsw_m=settings.hnsw_m,
        hnsw_ef_construct=settings.hnsw_ef_construct,
        hnsw_ef=settings.hnsw_ef,
        hnsw_filtered_ef=settings.hnsw_filtered_ef,
        full_scan_kilobytes=settings.full_scan_kilobytes,
        indexing_threshold_kilobytes=settings.indexing_kilobytes,
        least_free_bytes=settings.least_free_bytes,
        flush_seconds=settings.flush_interval.total_seconds(),
    )
    return open_edge(path, kept, patience_of(settings))
