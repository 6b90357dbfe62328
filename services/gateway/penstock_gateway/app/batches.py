"""Batches' part of the composition: where they and their files are kept, who begins them, and who carries them on."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from penstock_gateway.adapters.kept_metrics import BatchEndMetrics
from penstock_gateway.adapters.sql.batches.files import SqlBatchFiles
from penstock_gateway.adapters.sql.batches.handed import SqlHandedLines
from penstock_gateway.adapters.sql.batches.store import SqlBatches
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.domain.access.holders import Holders
from penstock_gateway.domain.batches.carrying import BatchCarrier
from penstock_gateway.domain.batches.desk import BatchDesk
from penstock_gateway.domain.batches.executing import BatchExecution, finding
from penstock_gateway.domain.batches.handing import BatchProviders, Handing
from penstock_gateway.domain.batches.sweeping import Sweeper
from penstock_gateway.domain.batches.telling import telling_batches
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.telling import Wanting
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.wire_formats.batch_lines import WireLineFormats


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchParts:
    """What is open of batches, in a gateway or a worker."""

    files: SqlBatchFiles
    store: SqlBatches
    formats: WireLineFormats
    desk: BatchDesk
    sweeper: Sweeper
    handed: SqlHandedLines
    observer: BatchEndMetrics


def batch_parts(
    settings: Settings, database: JobDatabase, bell: Bell, wanting: Wanting, registry: CollectorRegistry
) -> BatchParts:
    """Return the parts, with which nothing happens yet; webhooks are told of ends that are ``wanting`` it."""
    files, store, own = SqlBatchFiles(database), SqlBatches(database, telling_batches(wanting)), settings.batches
    formats = WireLineFormats(settings.gateway.body_bounds)
    terms = own.desk(settings.gateway.max_body_bytes, enabled=settings.jobs.enabled)
    desk = BatchDesk(files, store, bell, terms, formats.endpoints)
    sweeper = Sweeper(files, store, own.sweep_every)
    return BatchParts(
        files=files,
        store=store,
        formats=formats,
        desk=desk,
        sweeper=sweeper,
        handed=SqlHandedLines(database),
        observer=BatchEndMetrics(registry),
    )


def handing_of(parts: BatchParts, settings: Settings, providers: BatchProviders) -> Handing:
    """Return who hands lines to providers."""
    handing = Handing(parts.handed, providers, settings.batches.handing)
    handing.observer = parts.observer
    return handing


def batch_execution(
    parts: BatchParts, settings: Settings, holders: Holders, shared: tuple[Bell, Handing]
) -> BatchExecution:
    """Return what carries batches on."""
    bell, handing = shared
    terms = settings.batches.carrying(settings.gateway.max_body_bytes, settings.jobs.max_attempts)
    carrier = BatchCarrier(parts.store, parts.files, parts.formats, finding(holders), (terms, bell))
    carrier.observer, carrier.handing = parts.observer, handing
    return BatchExecution(carrier)
