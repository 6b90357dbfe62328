"""Which tenants there are: those of the configuration, and those that were created beside them."""

from __future__ import annotations

from collections.abc import Mapping

from penstock_gateway.domain.access.identity import Tenant, TenantRecord, Tier

DEFAULT_TIER = "free"
# A created tenant whose tier has left the configuration must not become unlimited.
_STRICTEST = Tier(DEFAULT_TIER, requests_per_minute=10, concurrent_requests=2)


class TenantDirectory:
    """Turns a tenant's name into its limits. A configured tenant wins over a created one of the same name."""

    def __init__(
        self, configured: Mapping[str, Tenant], tiers: Mapping[str, Tier], models: frozenset[str] = frozenset()
    ) -> None:
        self._configured = configured
        self._tiers = tiers
        self.models = models
        """What callers may ask for, by its public name; empty where nobody said."""

    @property
    def tiers(self) -> Mapping[str, Tier]:
        """The tiers that a created tenant can have, by name."""
        return self._tiers

    @property
    def configured(self) -> Mapping[str, Tenant]:
        """The tenants of the configuration, by name."""
        return self._configured

    def tenant(self, name: str, created: TenantRecord | None) -> Tenant | None:
        """Return the tenant; None where there is none, or it is disabled."""
        configured = self._configured.get(name)
        if configured is not None:
            return configured
        if created is None or created.disabled_at is not None:
            return None
        tier = self._tiers.get(created.tier, _STRICTEST)
        return Tenant(created.name, tier, created.models, created.regions)
