"""Jobs' part of the composition: where they are kept, and who accepts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.key_material import read_key_material
from penstock_gateway.adapters.sql.jobs.database import JobDatabase
from penstock_gateway.adapters.sql.jobs.queue import SqlJobQueue
from penstock_gateway.adapters.sql.jobs.sealing import JobSealer
from penstock_gateway.adapters.sql.jobs.store import SqlJobStore
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.submission import Submitter
from penstock_gateway.domain.jobs.telling import ended_messages
from penstock_gateway.domain.webhooks.endpoint import Endpoint
from penstock_gateway.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class JobParts:
    """What is open of jobs, in a gateway or a worker."""

    store: SqlJobStore
    queue: SqlJobQueue
    bell: Bell
    submitter: Submitter


def job_parts(settings: Settings, engine: AsyncEngine, endpoints: Callable[[], Mapping[str, Endpoint]]) -> JobParts:
    """Return the parts, with which nothing happens yet; ``endpoints`` are the webhooks of the revision that runs.

    Raises:
        ConfigurationError: if the secret cannot be read that what jobs ask is sealed by.
    """
    secret = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file")
    database, bell = JobDatabase(engine, JobSealer(secret), ended_messages), Bell()
    store = SqlJobStore(database)
    submitter = Submitter(store, bell, settings.jobs.usual, endpoints, is_enabled=settings.jobs.enabled)
    return JobParts(store=store, queue=SqlJobQueue(database), bell=bell, submitter=submitter)
