"""The database of jobs: transactions that write one after the other, and the seal of what is kept."""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.adapters.sql.transactions import Transactions
from penstock_gateway.domain.jobs.ports import Tell

# Any number that nothing else in the database is locked by.
_CLAIM_LOCK = 0x50454E4A


class JobDatabase(Transactions):
    """An engine whose database has the schema ``JOBS``, the seal, and what tells webhooks of ends."""

    def __init__(self, engine: AsyncEngine, sealer: TenantSealer, tell: Tell) -> None:
        super().__init__(engine)
        self.sealer = sealer
        self.tell = tell

    def claim_alone(self, connection: Connection) -> None:
        """Have a transaction be the only one of all processes that claims, so that bounds over all of them hold."""
        if self.is_shared:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CLAIM_LOCK})
