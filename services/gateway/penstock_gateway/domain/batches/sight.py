"""Where callers and operators look at batches, and end them: what is not theirs is as what does not exist."""

from __future__ import annotations

import re

from penstock_common.errors import ResourceNotFound, ResourceState
from penstock_gateway.domain.administration.audit import AuditLog, Deed, Now, utc_now
from penstock_gateway.domain.administration.bounds import required_tenant
from penstock_gateway.domain.administration.paging import Listing, Page, listing
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.batches.batch import ID_PREFIX, Batch, id_of_public
from penstock_gateway.domain.batches.ports import BatchFilter, BatchStore
from penstock_gateway.domain.jobs.bell import Bell
from penstock_gateway.domain.jobs.desk import Viewer
from penstock_gateway.domain.life.settlement import OK

_ID = re.compile(rf"{ID_PREFIX}[0-9a-f]{{1,34}}")


class BatchSight:
    """Shows batches, and cancels them. They are begun at ``BatchDesk``."""

    def __init__(self, batches: BatchStore, bell: Bell, registry: Registry, now: Now = utc_now) -> None:
        self._batches = batches
        self._bell = bell
        self._audit = AuditLog(registry, now)
        self._now = now

    async def get(self, viewer: Viewer, tenant: str, batch_id: str) -> Batch:
        """Return a batch, by the id that it is kept under or that its caller knows.

        Raises:
            ResourceNotFound: if there is none of this id, or it is not the viewer's.
        """
        meant = required_tenant(viewer.actor.meant(tenant))
        kept_id = id_of_public(batch_id)
        found = await self._batches.get(meant, kept_id) if _ID.fullmatch(kept_id) else None
        if found is None or viewer.owner not in ("", found.owner):
            raise _no_batch(batch_id)
        return found

    async def list(self, viewer: Viewer, tenant: str, page: Page) -> Listing[Batch]:
        """Return a page of a tenant's batches, the newest first."""
        meant = required_tenant(viewer.actor.meant(tenant))
        wanted = BatchFilter(tenant=meant, owner=viewer.owner, after=page.after)
        found = await self._batches.list(wanted, page.size + 1)
        return listing([*found], page, lambda batch: batch.id)

    async def cancel(self, viewer: Viewer, tenant: str, batch_id: str) -> Batch:
        """Have a batch end: what is done stays, what runs is ended, and what waits is not begun.

        Raises:
            ResourceNotFound: as ``get``.
            ResourceState: if it has ended.
        """
        found = await self.get(viewer, tenant, batch_id)
        if found.state.is_end:
            raise ResourceState(f"The batch is {found.state.value}, and has ended.", kind="batch", name=batch_id)
        cancelled = await self._batches.cancel(found.tenant, found.id, self._now())
        if cancelled is None:
            raise _no_batch(batch_id)
        self._bell.ring_queue()
        if viewer.counted_key_id != found.owner:
            await self._audit.note(Deed(viewer.actor, "batch.cancel", found.tenant, found.id), OK)
        return cancelled


def _no_batch(batch_id: str) -> ResourceNotFound:
    return ResourceNotFound(f"There is no batch '{batch_id[:64]}'.", kind="batch", name=batch_id[:64])
