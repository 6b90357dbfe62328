"""Whose tokens are refused: people who sign in elsewhere, and are not to come in any more."""

from __future__ import annotations

from penstock_common.errors import ResourceNotFound
from penstock_gateway.domain.access.identity import RevokedSubject
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, Now, utc_now
from penstock_gateway.domain.administration.paging import Listing, Page, listing
from penstock_gateway.domain.administration.registry import Registry

_KIND = "revoked subject"
_SEPARATOR = "|"


class SubjectAdministration:
    """Keeps the list. Of operators, who have no tenant, that is empty."""

    def __init__(self, registry: Registry, now: Now = utc_now) -> None:
        self._registry = registry
        self._now = now
        self._audit = AuditLog(registry, now)

    async def revoke(self, actor: Actor, tenant: str, issuer: str, subject: str) -> RevokedSubject:
        """Return whose tokens are refused from now on; revoking again changes nothing."""
        meant = tenant or actor.tenant
        async with self._audit.changing(Deed(actor, "subject.revoke", meant, subject, {"issuer": issuer})) as records:
            named = bounds.named_tenant(actor.meant(meant)), bounds.issuer(issuer), bounds.subject(subject)
            before = await records.revoked_subject(*named)
            record = before or RevokedSubject(*named, self._now())
            if before is None:
                await records.add_revoked_subject(record)
        return record

    async def list(self, actor: Actor, tenant: str, page: Page) -> Listing[RevokedSubject]:
        """Return whose tokens are refused, by tenant, issuer and subject."""
        meant = bounds.named_tenant(actor.meant(tenant))
        after = page.after.split(_SEPARATOR, 2) if page.after else []
        of_tenant, issuer, subject = (*after, "", "", "")[:3]
        async with self._registry.begin() as records:
            found = await records.revoked_subjects(meant or None, (of_tenant, issuer, subject), page.size + 1)
        return listing(found, page, lambda each: _SEPARATOR.join((each.tenant, each.issuer, each.subject)))

    async def restore(self, actor: Actor, tenant: str, issuer: str, subject: str) -> None:
        """Have their tokens accepted again.

        Raises:
            ResourceNotFound: if they were not refused.
        """
        meant = tenant or actor.tenant
        async with self._audit.changing(Deed(actor, "subject.restore", meant, subject, {"issuer": issuer})) as records:
            named = bounds.named_tenant(actor.meant(meant)), bounds.issuer(issuer), bounds.subject(subject)
            if not await records.drop_revoked_subject(*named):
                raise ResourceNotFound(f"'{subject[:64]}' is not revoked.", kind=_KIND, name=subject)
