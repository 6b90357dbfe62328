"""Every change and its audit entry, in one transaction; every refused attempt with an entry of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from penstock_common.errors import PenstockError, ServiceUnavailable
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.bounds import named_tenant
from penstock_gateway.domain.administration.paging import Listing, Page, listing
from penstock_gateway.domain.administration.registry import AuditEntry, Records, Registry
from penstock_gateway.domain.life.settlement import OK, outcome_of

Now = Callable[[], datetime]
_MAX_TEXT_LENGTH = 256


def utc_now() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody asks for: an action such as ``key.revoke``, on ``target``, in ``tenant``."""

    actor: Actor
    action: str
    tenant: str
    target: str = ""
    details: Mapping[str, str] = field(default_factory=dict[str, str])


class AuditLog:
    """Runs changes so that each leaves its entry, and lists the entries."""

    def __init__(self, registry: Registry, now: Now = utc_now) -> None:
        self._registry = registry
        self._now = now

    @asynccontextmanager
    async def changing(self, deed: Deed) -> AsyncGenerator[Records, None]:
        """Yield a transaction; leaving notes the deed in it, and a refusal undoes it and is noted instead."""
        try:
            async with self._registry.begin() as records:
                yield records
                await records.note(self._entry(deed, OK))
        except ServiceUnavailable:
            # The store itself: there is nowhere to note it.
            raise
        except PenstockError as error:
            async with self._registry.begin() as records:
                await records.note(self._entry(deed, outcome_of(error)))
            raise

    async def note(self, deed: Deed, outcome: str) -> None:
        """Keep an entry of what was done elsewhere than in the registry."""
        async with self._registry.begin() as records:
            await records.note(self._entry(deed, outcome))

    async def list(self, actor: Actor, tenant: str, page: Page) -> Listing[AuditEntry]:
        """Return entries about the tenant, the newest first; about every tenant for an operator who names none."""
        meant = named_tenant(actor.meant(tenant))
        async with self._registry.begin() as records:
            found = await records.entries(meant or None, page.before_id(), page.size + 1)
        return listing(found, page, lambda entry: str(entry.id))

    def _entry(self, deed: Deed, outcome: str) -> AuditEntry:
        actor, tenant, details = deed.actor, deed.tenant, dict(deed.details)
        if not actor.may_touch(tenant):
            # An attempt at another tenant's is in the log of those who made it.
            details["named_tenant"], tenant = tenant, actor.tenant
        return AuditEntry(
            occurred_at=self._now(),
            actor_key_id=actor.key_id,
            actor_user_id=actor.user_id,
            actor_tenant=actor.tenant,
            action=deed.action,
            tenant=_kept(tenant),
            target=_kept(deed.target),
            client_address=actor.address,
            request_id=actor.request_id,
            outcome=outcome,
            details={name: _kept(text) for name, text in details.items() if text},
        )


def _kept(text: str) -> str:
    """Return what is kept of a text that may have been refused for its form."""
    return text[:_MAX_TEXT_LENGTH].replace("\x00", "").encode(errors="replace").decode()
