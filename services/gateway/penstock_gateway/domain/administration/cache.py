"""Voiding answers that the cache has kept, and what it has done so far."""

from __future__ import annotations

from typing import Protocol

from penstock_common.contract.cache import Scope, Stats
from penstock_common.errors import ModelNotPermitted, ServiceUnavailable
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.administration.tenants import existing_tenant


class KeptAnswers(Protocol):
    """The cache, as administration sees it."""

    async def clear(self, scope: Scope) -> int:
        """Void what lies in the scope (no tenant: every one; no model: each), and return how many were deleted.

        Raises:
            ServiceUnavailable: if answers may still serve.
        """
        ...

    async def stats(self) -> Stats:
        """Return what one process of the cache has counted since it started.

        Raises:
            ServiceUnavailable: if it does not answer.
        """
        ...


class NoKeptAnswers:
    """Implements ``KeptAnswers`` where no gateway runs."""

    async def clear(self, scope: Scope) -> int:
        """Refuse."""
        raise _nothing_runs()

    async def stats(self) -> Stats:
        """Refuse."""
        raise _nothing_runs()


def _nothing_runs() -> ServiceUnavailable:
    return ServiceUnavailable("Nothing runs here that has a cache.", service="cache")


class CacheAdministration:
    """Clears the cache; each time leaves its entry in the audit log."""

    def __init__(self, answers: KeptAnswers, directory: TenantDirectory, registry: Registry) -> None:
        self._answers = answers
        self._directory = directory
        self._audit = AuditLog(registry)

    async def clear(self, actor: Actor, tenant: str, model: str) -> int:
        """Return how many entries were deleted: the tenant's, or every tenant's for an operator who names none.

        Raises:
            ResourceNotFound: if there is no such tenant.
            ModelNotPermitted: if the actor's own key may not use the model.
            ServiceUnavailable: if answers may still serve.
        """
        meant = tenant or actor.tenant
        async with self._audit.changing(Deed(actor, "cache.clear", meant, model)) as records:
            scope = Scope(bounds.named_tenant(actor.meant(meant)), bounds.model(model))
            if scope.tenant:
                await existing_tenant(self._directory, records, scope.tenant)
            if actor.models and model not in actor.models:
                raise ModelNotPermitted("Your API key may clear the models alone that it may use.", model=model)
            return await self._answers.clear(scope)

    async def stats(self) -> Stats:
        """Return what one process of the cache has counted since it started."""
        return await self._answers.stats()
