"""Every service in this process, joined by in-process channels."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import penstock_cache.app
import penstock_cache.settings
import penstock_gateway.app.administration
import penstock_gateway.app.gateway
import penstock_gateway.settings
import penstock_inference.app
import penstock_inference.settings
import penstock_router.app
import penstock_router.settings
from penstock_common.configuration import Configuration
from penstock_common.rpc.client import Channel
from penstock_common.rpc.in_process import InProcessChannel
from penstock_common.service import Service
from penstock_suite.settings import Joined


@asynccontextmanager
async def services_joined(
    configuration: Configuration, embedding: Channel | None = None
) -> AsyncGenerator[penstock_gateway.app.gateway.Channels]:
    """Yield channels to the services that the configuration needs; closed in reverse order on exit.

    The embedding service is one of them, unless ``embedding`` leads to one elsewhere.
    """
    settings = configuration.settings(Joined)
    async with AsyncExitStack() as stack:
        router = await stack.enter_async_context(
            penstock_router.app.build(configuration.settings(penstock_router.settings.Settings))
        )
        inference = await stack.enter_async_context(
            penstock_inference.app.build(configuration.settings(penstock_inference.settings.Settings))
        )
        services = [router, inference]
        if settings.has_cache:
            cache_settings = configuration.settings(penstock_cache.settings.Settings)
            services.append(await stack.enter_async_context(penstock_cache.app.build(cache_settings)))
        is_ours = settings.embedding is not None and embedding is None
        if is_ours:
            services.append(await stack.enter_async_context(embedding_service(configuration)))
        channel = InProcessChannel([handler for service in services for handler in service.handlers])
        yield penstock_gateway.app.gateway.Channels(
            router=channel,
            inference=channel,
            cache=channel if settings.has_cache else None,
            embedding=channel if is_ours else embedding,
            cache_is_here=True,
            collectors=[collector for service in services for collector in service.collectors],
        )


def embedding_service(configuration: Configuration) -> AbstractAsyncContextManager[Service]:
    """Return the context of the embedding service."""
    # Its model runtime is heavy, so only those who configure it load it.
    import penstock_embedding.app
    import penstock_embedding.settings

    return penstock_embedding.app.build(configuration.settings(penstock_embedding.settings.Settings))


def running_gateway(
    configuration: Configuration,
    channels: penstock_gateway.app.gateway.Channels,
    listen: penstock_gateway.app.gateway.Listen,
    *,
    upgrades_schema: bool,
    shares_limits: bool,
) -> AbstractAsyncContextManager[penstock_gateway.app.gateway.RunningGateway]:
    """Return the context of a listening gateway."""
    settings = configuration.settings(penstock_gateway.settings.Settings)
    return penstock_gateway.app.gateway.running(
        settings, channels, listen, upgrades_schema=upgrades_schema, shares_limits=shares_limits
    )


async def upgrade_schema(configuration: Configuration) -> None:
    """Bring the database's schema to the newest version."""
    await penstock_gateway.app.administration.upgrade_schema(configuration.settings(penstock_gateway.settings.Settings))
