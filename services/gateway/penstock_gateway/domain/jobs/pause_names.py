"""Whether there is what a pause names: one that nothing is of would hold nothing, and say that it does."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from penstock_common.contract.knowledge_calls import GetBaseRequest
from penstock_common.errors import InvalidRequest, ResourceNotFound, ResourceState, ServiceUnavailable
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.jobs.ports import JobTargets
from penstock_gateway.domain.knowledge.ports import Knowledge

_LOOKED_AT = 1000
"""Created tenants, for one that is named nearly so."""
_ALIKE = 0.5


class PauseNames:
    """Knows tenants, the public models, knowledge bases, and whatever jobs have been for lately."""

    def __init__(
        self, directory: TenantDirectory, registry: Registry, knowledge: Knowledge, targets: JobTargets
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._knowledge = knowledge
        self._targets = targets

    async def check(self, tenant: str, target: str) -> None:
        """Check that there is such a tenant and target; empty: every one.

        Raises:
            ResourceNotFound: if there is none; it says which is named nearly so.
            ServiceUnavailable: if the database does not answer.
        """
        if tenant and tenant not in self._directory.configured:
            await self._check_created(tenant)
        models = self._directory.models
        if not target or not models or target in models:
            return
        known = await self._targets.targets(tenant)
        if target not in known and not await self._is_base(tenant, target):
            told = f"There is no model '{target[:64]}', and no knowledge base{' of that tenant' if tenant else ''}."
            whose = "" if tenant else " A base is its tenant's: name that as well."
            raise ResourceNotFound(f"{told}{whose}{_nearest(target, models | known)}", kind="model", name=target[:64])

    async def _check_created(self, tenant: str) -> None:
        async with self._registry.begin() as records:
            if await records.tenant(tenant) is not None:
                return
            created = [record.name for record in await records.tenants("", _LOOKED_AT)]
        near = _nearest(tenant, {*self._directory.configured, *created})
        raise ResourceNotFound(f"There is no tenant '{tenant}'.{near}", kind="tenant", name=tenant)

    async def _is_base(self, tenant: str, base: str) -> bool:
        if not tenant:
            return False
        try:
            await self._knowledge.get_base(GetBaseRequest(tenant, base))
        except (InvalidRequest, ResourceNotFound, ResourceState):
            return False
        except ServiceUnavailable:
            # Whoever pauses something has reasons, and may not wait for the service that is away.
            return True
        return True


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
    return f" Did you mean '{near[0]}'?" if near else ""
