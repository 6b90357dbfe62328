"""The gateway's composition root."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_common.background import background_work
from penstock_common.key_material import read_key_material, read_token
from penstock_common.redis_connection import RedisConnection
from penstock_common.rpc.server_interceptors import CallTelemetry
from penstock_common.telemetry.metrics_endpoint import serving_metrics
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway import __version__
from penstock_gateway.adapters.limits_in_memory import InMemoryLimiter
from penstock_gateway.adapters.limits_in_redis import RedisLimiter
from penstock_gateway.adapters.services.channels import Channels
from penstock_gateway.adapters.services.inference import InferenceClient
from penstock_gateway.adapters.services.router import RouterClient
from penstock_gateway.adapters.services.wire import WireInputs
from penstock_gateway.adapters.sql.database import open_current_database, upgrade_database
from penstock_gateway.adapters.sql.keys import SqlKeyStore
from penstock_gateway.adapters.sql.ledger import SqlLedger
from penstock_gateway.adapters.telemetry import Metrics, TelemetryObserver, exporting_spans
from penstock_gateway.domain.admission import Door, Limiter
from penstock_gateway.domain.authentication import Authenticator
from penstock_gateway.domain.exchange import ChatLife, LifeParts
from penstock_gateway.domain.guard import OpenGuard
from penstock_gateway.domain.key_administration import KeyAdministration
from penstock_gateway.domain.models import ModelDirectory
from penstock_gateway.settings import Settings
from penstock_gateway.surfaces.arrival import Reception, Timeouts
from penstock_gateway.surfaces.client_address import ClientAddresses
from penstock_gateway.surfaces.grpc.arrival import PolicyGuard
from penstock_gateway.surfaces.grpc.chat import ChatServicer
from penstock_gateway.surfaces.grpc.models import ModelServicer
from penstock_gateway.surfaces.openai.application import OpenAIApplication, OpenAIParts
from penstock_gateway.surfaces.openai.stream import StreamTiming
from penstock_gateway.surfaces.public import Listen, RunningGateway, Surfaces, open_to_the_public

__all__ = ["Channels", "Listen", "RunningGateway", "open_keys", "running", "upgrade_schema"]

_SERVICE_NAME = "penstock-gateway"


@asynccontextmanager
async def running(
    settings: Settings, channels: Channels, listen: Listen, *, upgrades_schema: bool
) -> AsyncGenerator[RunningGateway, None]:
    """Yield a gateway that listens for gRPC and for the wire formats.

    Raises:
        ConfigurationError: if the schema is not current, and the gateway is not to upgrade it.
        ListenError: if an address is taken or not ours.
    """
    own = settings.gateway
    async with AsyncExitStack() as stack:
        opened = open_current_database(settings.sql, own.database_limits, upgrades_schema=upgrades_schema)
        engine = await stack.enter_async_context(opened)
        in_background = await stack.enter_async_context(background_work())
        door = Door(own.max_in_flight)
        registry = CollectorRegistry()
        observer = await _open_observer(stack, settings, door, registry)
        ledger = await _open_ledger(stack, engine, own.max_queued_ledger_rows)
        router = RouterClient(channels.router, inputs := WireInputs(), own.router_timeout)
        life = ChatLife(
            LifeParts(
                door=door,
                limiter=await _open_limiter(stack, settings),
                guard=OpenGuard(),
                cache=channels.cache_client(inputs, own.cache_lookup_timeout, own.cache_store_timeout),
                router=router,
                generator=InferenceClient(channels.inference, inputs),
                ledger=ledger,
                observer=observer,
                in_background=in_background,
            )
        )
        reception, models = _reception(settings, engine), ModelDirectory(router)
        wire_formats = OpenAIApplication(
            OpenAIParts(
                reception=reception,
                life=life,
                models=models,
                observer=observer,
                timing=StreamTiming(own.hold_back, own.keep_alive),
                max_body_bytes=own.max_body_bytes,
                started_at=int(time.time()),
            )
        )
        guards = [CallTelemetry(registry), PolicyGuard(reception, observer)]
        surfaces = Surfaces(ChatServicer(reception, life, observer), ModelServicer(models), wire_formats, guards)
        yield await stack.enter_async_context(open_to_the_public(surfaces, door, listen))


async def _open_limiter(stack: AsyncExitStack, settings: Settings) -> Limiter:
    local = InMemoryLimiter()
    if not settings.redis.state:
        return local
    redis = await stack.enter_async_context(RedisConnection(settings.redis.state, settings.gateway.redis_timeout))
    return RedisLimiter(redis, local)


async def _open_ledger(stack: AsyncExitStack, engine: AsyncEngine, max_queued_rows: int) -> SqlLedger:
    ledger = SqlLedger(engine, max_queued_rows)
    writing = await stack.enter_async_context(asyncio.TaskGroup())
    writing.create_task(ledger.run(), name="ledger")
    stack.callback(ledger.close)
    return ledger


async def _open_observer(
    stack: AsyncExitStack, settings: Settings, door: Door, registry: CollectorRegistry
) -> TelemetryObserver:
    telemetry = settings.telemetry
    metrics = Metrics(registry, lambda: door.in_flight)
    await stack.enter_async_context(serving_metrics(registry, telemetry.metrics_listen))
    spans = await stack.enter_async_context(exporting_spans(telemetry.otlp, _SERVICE_NAME, __version__))
    return TelemetryObserver(metrics, spans, capture_content=telemetry.capture_content)


async def upgrade_schema(settings: Settings) -> None:
    """Bring the database's schema to the newest version."""
    await upgrade_database(settings.sql)


@asynccontextmanager
async def open_keys(settings: Settings) -> AsyncGenerator[KeyAdministration, None]:
    """Yield the administration of created keys, for the command line."""
    pepper = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file")
    async with open_current_database(settings.sql, settings.gateway.database_limits, upgrades_schema=True) as engine:
        yield KeyAdministration(pepper, settings.tenants_by_name(), SqlKeyStore(engine))


def _reception(settings: Settings, engine: AsyncEngine) -> Reception:
    pepper = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file")
    return Reception(
        Authenticator(pepper, settings.tenants_by_name(), settings.configured_keys(pepper), SqlKeyStore(engine)),
        TraceStarter(settings.telemetry.sample_ratio, random.Random()),  # noqa: S311 - ids, not secrets
        Timeouts(settings.gateway.unary_timeout, settings.gateway.stream_timeout),
        ClientAddresses(read_token(settings.secrets.edge_token_file, "secrets.edge_token_file")),
    )
