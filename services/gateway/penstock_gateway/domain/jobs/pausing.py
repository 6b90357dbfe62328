"""Pauses: whose jobs, or those for what, do not begin until somebody says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from penstock_common.errors import InvalidRequest, ResourceNotFound
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, Now, utc_now
from penstock_gateway.domain.administration.bounds import named_tenant
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.pause_names import PauseNames
from penstock_gateway.domain.life.settlement import OK

MAX_TARGET, MAX_REASON = 256, 200
"""Characters."""


class Pause(msgspec.Struct, frozen=True):
    """That jobs of a tenant, for a model or knowledge base, do not begin; empty: of every one."""

    tenant: str
    target: str
    reason: str
    since: datetime


class Pauses(Protocol):
    """Where pauses are kept; each method raises ``ServiceUnavailable`` where the database does not answer."""

    async def put(self, pause: Pause) -> None:
        """Keep a pause, in the place of one of the same tenant and target."""
        ...

    async def end(self, tenant: str, target: str) -> bool:
        """Forget a pause; False where there is none."""
        ...

    async def all(self, tenant: str) -> Sequence[Pause]:
        """Return those that hold a tenant's jobs, in their order; all where ``tenant`` is empty."""
        ...


class PauseDesk:
    """Pauses and resumes jobs: an administrator their tenant's, an operator anybody's."""

    def __init__(self, pauses: Pauses, bell: Bell, registry: Registry, names: PauseNames, now: Now = utc_now) -> None:
        self._pauses = pauses
        self._names = names
        self._bell = bell
        self._audit = AuditLog(registry, now)
        self._now = now

    async def pause(self, actor: Actor, tenant: str, target: str, reason: str) -> Pause:
        """Have no more jobs begin; return the pause.

        Raises:
            InvalidRequest: if a text is too long.
            ResourceNotFound: if there is no such tenant, or nothing that such jobs would be for.
        """
        for field, text, most in (("target", target, MAX_TARGET), ("reason", reason, MAX_REASON)):
            if len(text) > most or not text.isprintable():
                raise InvalidRequest(f"{field} must be printable, and {most} characters at most.", field=field)
        pause = Pause(named_tenant(actor.meant(tenant)), target, reason, self._now())
        await self._names.check(pause.tenant, target)
        await self._pauses.put(pause)
        details = {"target": target, "reason": reason}
        await self._audit.note(Deed(actor, "job.pause", pause.tenant, target, details), OK)
        return pause

    async def resume(self, actor: Actor, tenant: str, target: str) -> None:
        """Have jobs begin again.

        Raises:
            ResourceNotFound: if there is no such pause.
        """
        meant = named_tenant(actor.meant(tenant))
        if len(target) > MAX_TARGET or not target.isprintable() or not await self._pauses.end(meant, target):
            raise ResourceNotFound("There is no pause of that tenant and target.", kind="pause", name=target[:64])
        self._bell.ring_queue()
        await self._audit.note(Deed(actor, "job.resume", meant, target), OK)

    async def all(self, actor: Actor, tenant: str) -> Sequence[Pause]:
        """Return what holds jobs of a tenant; everything for an operator who names none."""
        return await self._pauses.all(named_tenant(actor.meant(tenant)))
