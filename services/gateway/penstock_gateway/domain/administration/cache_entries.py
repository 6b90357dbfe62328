"""Looking at what the cache matches by meaning, taking some of it out, and destroying all of it with its keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from penstock_common.contract.cache import (
    Deletion,
    Dispute,
    EntryFilter,
    EntryPage,
    EntryQuery,
    EntryRecord,
    ExplainRequest,
    Explanation,
    LookupRequest,
    LookupResponse,
    Scope,
    StoreRequest,
)
from penstock_common.errors import InvalidRequest, ModelNotPermitted, ResourceNotFound, ServiceUnavailable
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed
from penstock_gateway.domain.administration.paging import Listing, Page, token_after
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.administration.tenants import existing_tenant

MAX_DELETED_IDS = 500
"""Of one request."""
_KIND = "cache entry"
# No tenant can be called so.
_NO_TENANT = "*"


class KeptEntries(Protocol):
    """The cache's entries, as administration sees them; each raises ``ServiceUnavailable`` if it does not answer."""

    async def list(self, query: EntryQuery) -> EntryPage:
        """Return a page of a tenant's entries."""
        ...

    async def delete(self, deletion: Deletion) -> int:
        """Return how many entries were deleted, or would be."""
        ...

    async def explain(self, request: ExplainRequest) -> Explanation:
        """Return whether an answer to one text would be given to another."""
        ...

    async def dispute(self, dispute: Dispute) -> bool:
        """Remove an entry that was wrong; return whether there was one."""
        ...

    async def shred(self, tenant: str) -> int:
        """Destroy a tenant's keys; return how many entries were deleted beside them."""
        ...

    async def rotate_keys(self, tenant: str) -> int:
        """Give a tenant, or every one, a new key; return how many have one."""
        ...

    async def find(self, request: LookupRequest) -> LookupResponse:
        """Return what a request would be answered with."""
        ...

    async def put(self, request: StoreRequest) -> str:
        """Keep an answer; return why it was refused, nothing where it is kept."""
        ...


class NoKeptEntries:
    """Implements ``KeptEntries`` where there is no cache."""

    async def list(self, query: EntryQuery) -> EntryPage:
        """Refuse."""
        raise _no_cache()

    async def delete(self, deletion: Deletion) -> int:
        """Refuse."""
        raise _no_cache()

    async def explain(self, request: ExplainRequest) -> Explanation:
        """Refuse."""
        raise _no_cache()

    async def dispute(self, dispute: Dispute) -> bool:
        """Refuse."""
        raise _no_cache()

    async def shred(self, tenant: str) -> int:
        """Refuse."""
        raise _no_cache()

    async def rotate_keys(self, tenant: str) -> int:
        """Refuse."""
        raise _no_cache()

    async def find(self, request: LookupRequest) -> LookupResponse:
        """Refuse."""
        raise _no_cache()

    async def put(self, request: StoreRequest) -> str:
        """Refuse."""
        raise _no_cache()


def _no_cache() -> ServiceUnavailable:
    return ServiceUnavailable("Nothing runs here that has a cache.", service="cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which of a tenant's entries somebody means: what fits all that is set, or ``every`` one."""

    tenant: str = ""
    model: str = ""
    entry_ids: tuple[str, ...] = ()
    tag: str = ""
    user: str = ""
    every: bool = False

    @property
    def names_some(self) -> bool:
        """Whether anything is set that narrows the tenant's entries."""
        return bool(self.model or self.entry_ids or self.tag or self.user)

    @property
    def target(self) -> str:
        """What the audit log calls them."""
        return " ".join(self.entry_ids) or self.tag or self.user or self.model


class EntryAdministration:
    """Lists, deletes and explains entries; what changes or shows them leaves its entry in the audit log."""

    def __init__(self, entries: KeptEntries, directory: TenantDirectory, registry: Registry) -> None:
        self._entries = entries
        self._directory = directory
        self._registry = registry
        self._audit = AuditLog(registry)

    async def list(self, actor: Actor, chosen: Chosen, page: Page, *, with_content: bool) -> Listing[EntryRecord]:
        """Return a page of entries, in the order of their ids.

        Raises:
            ResourceNotFound: if there is no such tenant.
            ModelNotPermitted: if the actor's own key may not use the model.
        """
        wanted = EntryQuery(_filter(actor, chosen), page.size, page.after, with_content)
        if not with_content:
            async with self._registry.begin() as records:
                await existing_tenant(self._directory, records, wanted.filter.scope.tenant)
            return _listing(await self._entries.list(wanted))
        async with self._audit.changing(_deed(actor, "cache.list", chosen)) as records:
            await existing_tenant(self._directory, records, wanted.filter.scope.tenant)
            return _listing(await self._entries.list(wanted))

    async def get(self, actor: Actor, tenant: str, entry_id: str) -> EntryRecord:
        """Return an entry with its question and answer.

        Raises:
            ResourceNotFound: if the tenant has none of this id.
        """
        chosen = Chosen(tenant=tenant, entry_ids=(entry_id,))
        async with self._audit.changing(_deed(actor, "cache.show", chosen)):
            return await self._one(actor, tenant, entry_id, with_content=True)

    async def delete(self, actor: Actor, chosen: Chosen, *, dry_run: bool) -> int:
        """Return how many entries were deleted, or would be.

        Raises:
            InvalidRequest: if nothing is named that narrows them, and not ``every`` one is meant.
            ResourceNotFound: if there is no such tenant, or none of the ids is one of its entries.
        """
        async with self._audit.changing(_deed(actor, "cache.delete", chosen, dry_run=dry_run)) as records:
            wanted = _filter(actor, chosen)
            if chosen.names_some == chosen.every:
                raise InvalidRequest(
                    "Name ids, a tag, a user or a model, or every_entry alone for all of the tenant's.",
                    field="every_entry",
                )
            await existing_tenant(self._directory, records, wanted.scope.tenant)
            deleted = await self._entries.delete(Deletion(wanted, dry_run))
            if not deleted and chosen.entry_ids:
                raise _none_of(chosen.target)
            return deleted

    async def dispute(self, actor: Actor, tenant: str, entry_id: str) -> None:
        """Remove an entry that was given, and was wrong.

        Raises:
            ResourceNotFound: if the tenant has none of this id.
        """
        chosen = Chosen(tenant=tenant, entry_ids=(entry_id,))
        async with self._audit.changing(_deed(actor, "cache.dispute", chosen)):
            record = await self._one(actor, tenant, entry_id, with_content=False)
            if not await self._entries.dispute(
                Dispute(Scope(bounds.required_tenant(actor.meant(tenant)), record.model), entry_id)
            ):
                raise _none_of(entry_id)

    async def explain(self, actor: Actor, scope: Scope, stored: str, asked: str) -> Explanation:
        """Return whether the answer to ``stored`` would be given to ``asked``.

        Raises:
            InvalidRequest: if a text is empty or too long.
        """
        # Nothing of a tenant is looked at: an operator need not name one.
        tenant = bounds.named_tenant(actor.meant(scope.tenant)) or _NO_TENANT
        texts = bounds.question(stored, "stored"), bounds.question(asked, "asked")
        return await self._entries.explain(ExplainRequest(Scope(tenant, bounds.model(scope.model)), *texts))

    async def shred(self, actor: Actor, tenant: str) -> int:
        """Return how many entries were deleted beside the tenant's keys; it need not exist any more.

        Raises:
            ResourceNotFound: if there is no such tenant, and nothing was kept for it.
        """
        async with self._audit.changing(_deed(actor, "cache.shred", Chosen(tenant=tenant))) as records:
            name = bounds.required_tenant(actor.meant(tenant))
            _check_unbounded(actor)
            deleted = await self._entries.shred(name)
            if not deleted:
                await existing_tenant(self._directory, records, name)
            return deleted

    async def rotate_keys(self, actor: Actor, tenant: str) -> int:
        """Return how many tenants have a new key: the one that is meant, or every one for an operator who names none.

        Raises:
            ResourceNotFound: if there is no such tenant.
        """
        async with self._audit.changing(_deed(actor, "cache.rotate_keys", Chosen(tenant=tenant))) as records:
            name = bounds.named_tenant(actor.meant(tenant))
            _check_unbounded(actor)
            if name:
                await existing_tenant(self._directory, records, name)
            return await self._entries.rotate_keys(name)

    async def _one(self, actor: Actor, tenant: str, entry_id: str, *, with_content: bool) -> EntryRecord:
        wanted = EntryFilter(Scope(bounds.required_tenant(actor.meant(tenant)), ""), (entry_id,))
        if not bounds.may_be_id(entry_id):
            raise _none_of(entry_id)
        page = await self._entries.list(EntryQuery(wanted, 1, "", with_content))
        if not page.entries or (actor.models and page.entries[0].model not in actor.models):
            raise _none_of(entry_id)
        return page.entries[0]


def check_model(actor: Actor, model: str) -> None:
    """Check that the actor's own key may use the model.

    Raises:
        ModelNotPermitted: if it names models, and this is none of them.
    """
    if actor.models and model not in actor.models:
        raise ModelNotPermitted(
            "Your API key may administer the entries of those models alone that it may use: name one.", model=model
        )


def _check_unbounded(actor: Actor) -> None:
    if actor.models:
        raise ModelNotPermitted("Your API key names models, and the cache's keys are of every model.", model="")


def _filter(actor: Actor, chosen: Chosen) -> EntryFilter:
    scope = Scope(bounds.required_tenant(actor.meant(chosen.tenant)), bounds.model(chosen.model))
    check_model(actor, scope.model)
    if len(chosen.entry_ids) > MAX_DELETED_IDS:
        raise InvalidRequest(
            f"ids may hold at most {MAX_DELETED_IDS} entries, not {len(chosen.entry_ids)}.", field="ids"
        )
    ids = tuple([entry_id for entry_id in chosen.entry_ids if bounds.may_be_id(entry_id)])
    if chosen.entry_ids and not ids:
        # Without ids it would mean all.
        raise _none_of(chosen.target)
    return EntryFilter(scope, ids, bounds.tag(chosen.tag), bounds.end_user(chosen.user))


def _deed(actor: Actor, action: str, chosen: Chosen, *, dry_run: bool = False) -> Deed:
    details = {"model": chosen.model, "tag": chosen.tag, "user": chosen.user}
    details |= {"every_entry": "true" if chosen.every else "", "dry_run": "true" if dry_run else ""}
    return Deed(actor, action, chosen.tenant or actor.tenant, chosen.target, details)


def _listing(page: EntryPage) -> Listing[EntryRecord]:
    return Listing(list(page.entries), token_after(page.next_page_token))


def _none_of(entry_id: str) -> ResourceNotFound:
    return ResourceNotFound(f"There is no cache entry '{entry_id[:128]}'.", kind=_KIND, name=entry_id[:128])
