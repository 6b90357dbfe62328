"""The kept answers' part of the composition: where they are, what is too old, and who makes those that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.key_material import read_key_material
from penstock_common.sealing import derived_key
from penstock_gateway.adapters.sql.responses.store import SqlResponseStore
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.app.idempotency import error_of
from penstock_gateway.app.jobs import JobParts
from penstock_gateway.domain.responses.ids import ResponseIds
from penstock_gateway.domain.responses.keeping import Responses
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.wire_formats.ended_jobs import EndedJobs
from penstock_gateway.surfaces.wire_formats.table import FORMATS, with_state


@dataclass(frozen=True, slots=True)
class ResponseParts:
    """What is open of them; ``ended`` by the path of the format that they are of."""

    responses: Responses
    ended: Mapping[str, EndedJobs]


@asynccontextmanager
async def open_responses(settings: Settings, engine: AsyncEngine, jobs: JobParts) -> AsyncGenerator[ResponseParts]:
    """Yield the parts; what is too old is deleted meanwhile, and how answers end that nobody waits for is kept.

    Raises:
        ConfigurationError: if the secret cannot be read that answers are sealed by.
    """
    secret, own = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file"), settings.responses
    store = SqlResponseStore(engine, TenantSealer(secret))
    responses = Responses(store, ResponseIds(derived_key(secret, b"penstock responses v1")), own.terms)
    ended = {one.path: EndedJobs(one, store, jobs.store, error_of) for one in with_state(FORMATS)}
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(responses.forget(own.sweep_every), name="responses: retention")]
    tasks += [loop.create_task(one.sweep(own.sweep_every), name="responses: ends") for one in ended.values()]
    try:
        yield ResponseParts(responses, ended)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
