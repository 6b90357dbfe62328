"""`penstock audit`: who changed what, from the database of a stack."""

from __future__ import annotations

from dataclasses import asdict

from penstock_gateway.domain.administration.paging import Page
from penstock_suite.app.administration import administration, operator
from penstock_suite.domain.audit import StoredEntry
from penstock_suite.domain.requests import Selection


async def list_entries(selection: Selection, tenant: str, limit: int) -> list[StoredEntry]:
    """Return the newest entries about the tenant, or about all, the newest first."""
    async with administration(selection) as opened:
        listed = await opened.audit.list(operator(), tenant, Page.of(limit, ""))
    return [StoredEntry(**asdict(entry)) for entry in listed.items]
