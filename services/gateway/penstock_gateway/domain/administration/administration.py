"""All of administration over one registry."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_gateway.domain.administration.audit import AuditLog
from penstock_gateway.domain.administration.cache import CacheAdministration, KeptAnswers, NoKeptAnswers
from penstock_gateway.domain.administration.cache_entries import EntryAdministration, KeptEntries, NoKeptEntries
from penstock_gateway.domain.administration.cache_import import CacheImport, NoRoutes
from penstock_gateway.domain.administration.keys import KeyAdministration, Keyring
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.administration.subjects import SubjectAdministration
from penstock_gateway.domain.administration.teams import TeamAdministration
from penstock_gateway.domain.administration.tenants import TenantAdministration
from penstock_gateway.domain.administration.upstreams import UpstreamAdministration, UpstreamPlaces
from penstock_gateway.domain.administration.users import UserAdministration
from penstock_gateway.domain.life.ports import Router


@dataclass(frozen=True, slots=True)
class CachePorts:
    """The cache as administration reaches it, and what says which models a question would go to."""

    answers: KeptAnswers = NoKeptAnswers()
    entries: KeptEntries = NoKeptEntries()
    router: Router = NoRoutes()


@dataclass(frozen=True, slots=True)
class Administration:
    """What there is to administer."""

    tenants: TenantAdministration
    teams: TeamAdministration
    users: UserAdministration
    keys: KeyAdministration
    subjects: SubjectAdministration
    audit: AuditLog
    cache: CacheAdministration
    cache_entries: EntryAdministration
    cache_import: CacheImport
    upstreams: UpstreamAdministration

    @classmethod
    def over(cls, keyring: Keyring, registry: Registry, cache: CachePorts, upstreams: UpstreamPlaces) -> Administration:
        """Return the administration of what the registry holds, of what the cache has kept, and of the upstreams."""
        return cls(
            TenantAdministration(keyring.directory, registry),
            TeamAdministration(keyring.directory, registry),
            UserAdministration(keyring.directory, registry),
            KeyAdministration(keyring, registry),
            SubjectAdministration(registry),
            AuditLog(registry),
            CacheAdministration(cache.answers, keyring.directory, registry),
            EntryAdministration(cache.entries, keyring.directory, registry),
            CacheImport(cache.entries, cache.router, keyring.directory, registry),
            UpstreamAdministration(upstreams, registry),
        )
