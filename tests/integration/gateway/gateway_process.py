"""A gateway with a cache, a router and an inference of its own, in a process of its own: CONFIGURATION.json SOCKET."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import penstock_cache.app
import penstock_gateway.app.gateway
import penstock_inference.app
import penstock_router.app
from penstock_common.configuration import Configuration
from penstock_common.rpc.in_process import InProcessChannel


async def serve(document: dict[str, Any], socket: str) -> None:
    """Serve until killed; say so once requests are taken."""
    configuration = Configuration(document)
    channels: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        for package in (penstock_router, penstock_cache, penstock_inference):
            service = await stack.enter_async_context(
                package.app.build(configuration.settings(package.settings.Settings))
            )
            channels[service.name] = InProcessChannel(service.handlers)
        gateway = await stack.enter_async_context(
            penstock_gateway.app.gateway.running(
                configuration.settings(penstock_gateway.settings.Settings),
                penstock_gateway.app.gateway.Channels(**channels, inference_is_here=True),
                penstock_gateway.app.gateway.Listen(grpc="127.0.0.1:0", http=f"unix:{socket}"),
                upgrades_schema=False,
                shares_limits=True,
            )
        )
        await gateway.set_ready()
        print("ready", flush=True)
        await asyncio.Event().wait()


asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]))
