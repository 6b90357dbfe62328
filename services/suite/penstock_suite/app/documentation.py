"""Penstock's own documentation as a knowledge base of a local stack, so that there is something to ask about at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.resources import files

import structlog

from penstock_common.errors import PenstockError
from penstock_common.priority import Priority
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_suite.adapters.knowledge_base import KnowledgeBaseOf
from penstock_suite.app.gateways import Gateways
from penstock_suite.app.parts import Workshop
from penstock_suite.domain.requests import Role

_NAME = "Penstock's documentation"
_log = structlog.get_logger(__name__)


@asynccontextmanager
async def documenting(workshop: Workshop, gateways: Gateways) -> AsyncGenerator[None]:
    """Have the knowledge base of ``local.documentation`` hold the documentation meanwhile; nothing waits for it."""
    settings = workshop.plan.settings
    if not (settings.local.documentation and settings.local.demo_tenant) or settings.embedding is None:
        yield
        return
    keeping = asyncio.create_task(_keep(workshop, gateways), name="keep the documentation")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def _keep(workshop: Workshop, gateways: Gateways) -> None:
    local = workshop.plan.settings.local
    channel = await gateways.channel(Role.EMBEDDING)
    documents = await asyncio.to_thread(documentation)
    if channel is None or not documents:
        return
    CURRENT_SCOPE.set(RequestScope(request_id="", tenant=local.demo_tenant, priority=Priority.SHEDDABLE))
    try:
        kept = await KnowledgeBaseOf(channel, local.demo_tenant, local.documentation).hold(_NAME, documents)
    except PenstockError as error:
        _log.warning("documentation_not_kept", reason=error.message)
        return
    _log.info("documentation_kept", base=local.documentation, documents=kept.documents, changed=kept.changed)


def documentation() -> dict[str, bytes]:
    """Return the pages by their names; none where this package came without them."""
    folder = files("penstock_suite") / "documentation"
    if not folder.is_dir():
        return {}
    pages = sorted((page for page in folder.iterdir() if page.name.endswith(".md")), key=lambda page: page.name)
    return {page.name: page.read_bytes() for page in pages}
