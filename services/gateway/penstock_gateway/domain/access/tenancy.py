"""Which tenants there are: those of the configuration, and those that were created beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock_gateway.domain.access.identity import Tenant, TenantRecord, Tier
from penstock_gateway.domain.limits.limit import Allowance, Measure
from penstock_gateway.domain.limits.rules import NamedAllowance, Rules
from penstock_gateway.domain.limits.windows import NOW, PER_MINUTE

DEFAULT_TIER = "free"
# A created tenant whose tier has left the configuration must not become unlimited.
_STRICTEST = Tier(
    DEFAULT_TIER,
    rules=Rules(
        (
            NamedAllowance("requests_per_minute", Allowance(Measure.REQUESTS, PER_MINUTE, 10)),
            NamedAllowance("concurrent_requests", Allowance(Measure.CONCURRENT, NOW, 2)),
        )
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What the configuration says of tenants, as one revision of it does."""

    configured: Mapping[str, Tenant]
    tiers: Mapping[str, Tier]
    models: frozenset[str] = frozenset()


class TenantDirectory:
    """Turns a tenant's name into its limits. A configured tenant wins over a created one of the same name."""

    def __init__(
        self, configured: Mapping[str, Tenant], tiers: Mapping[str, Tier], models: frozenset[str] = frozenset()
    ) -> None:
        self.terms = Terms(configured, tiers, models)
        """Another object after every change: what was concluded from earlier ones no longer holds."""

    def take_over(self, terms: Terms) -> None:
        """Know these from now on."""
        self.terms = terms

    @property
    def models(self) -> frozenset[str]:
        """What callers may ask for, by its public name; empty where nobody said."""
        return self.terms.models

    @property
    def tiers(self) -> Mapping[str, Tier]:
        """The tiers that a created tenant can have, by name."""
        return self.terms.tiers

    @property
    def configured(self) -> Mapping[str, Tenant]:
        """The tenants of the configuration, by name."""
        return self.terms.configured

    def tenant(self, name: str, created: TenantRecord | None) -> Tenant | None:
        """Return the tenant; None where there is none, or it is disabled."""
        configured = self.terms.configured.get(name)
        if configured is not None:
            return configured
        if created is None or created.disabled_at is not None:
            return None
        tier = self.terms.tiers.get(created.tier, _STRICTEST)
        return Tenant(created.name, tier, created.models, created.regions, created.time_zone)
