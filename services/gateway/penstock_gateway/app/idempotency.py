"""Idempotency's part of the composition: where calls are kept that were made under a key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.key_material import read_key_material
from penstock_common.sealing import derived_key
from penstock_gateway.adapters.sql.idempotency.store import SqlCallStore
from penstock_gateway.adapters.sql.jobs.sealing import JobSealer
from penstock_gateway.domain.idempotency.calls import KeptCalls
from penstock_gateway.domain.idempotency.keys import Marks
from penstock_gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class IdempotencyParts:
    """What is open of it."""

    calls: KeptCalls
    marks: Marks


@asynccontextmanager
async def open_idempotency(settings: Settings, engine: AsyncEngine) -> AsyncGenerator[IdempotencyParts]:
    """Yield the parts; what is too old is deleted meanwhile.

    Raises:
        ConfigurationError: if the secret cannot be read that answers are sealed by.
    """
    secret = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file")
    calls = KeptCalls(SqlCallStore(engine, JobSealer(secret)), settings.idempotency.terms)
    forgetting = calls.forget(settings.idempotency.forget_every)
    task = asyncio.get_running_loop().create_task(forgetting, name="idempotency retention")
    try:
        yield IdempotencyParts(calls, Marks(derived_key(secret, b"penstock idempotency v1")))
    finally:
        task.cancel()
        await asyncio.wait((task,))
