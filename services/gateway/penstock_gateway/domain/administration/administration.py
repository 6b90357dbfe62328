"""All of administration over one registry."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_gateway.domain.administration.audit import AuditLog
from penstock_gateway.domain.administration.cache import CacheAdministration, KeptAnswers
from penstock_gateway.domain.administration.keys import KeyAdministration, Keyring
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.administration.tenants import TenantAdministration
from penstock_gateway.domain.administration.upstreams import UpstreamAdministration, UpstreamPlaces
from penstock_gateway.domain.administration.users import UserAdministration


@dataclass(frozen=True, slots=True)
class Administration:
    """What there is to administer."""

    tenants: TenantAdministration
    users: UserAdministration
    keys: KeyAdministration
    audit: AuditLog
    cache: CacheAdministration
    upstreams: UpstreamAdministration

    @classmethod
    def over(
        cls, keyring: Keyring, registry: Registry, answers: KeptAnswers, upstreams: UpstreamPlaces
    ) -> Administration:
        """Return the administration of what the registry holds, of what the cache has kept, and of the upstreams."""
        return cls(
            TenantAdministration(keyring.directory, registry),
            UserAdministration(keyring.directory, registry),
            KeyAdministration(keyring, registry),
            AuditLog(registry),
            CacheAdministration(answers, keyring.directory, registry),
            UpstreamAdministration(upstreams, registry),
        )
