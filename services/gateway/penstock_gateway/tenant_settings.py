"""Tenants and their limits, and the operator, as the configuration says them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from penstock_common.configuration import Secret, Section
from penstock_common.prices import Usd
from penstock_common.routes import TenantRouting
from penstock_gateway.domain.administration.bounds import LABEL, is_time_zone
from penstock_gateway.domain.limits.limit import Allowance, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.rules import NO_RULES, NamedAllowance, Rules
from penstock_gateway.domain.limits.windows import NOW, PER_DAY, PER_HOUR, PER_MINUTE, Window, WindowKind

Label = Annotated[str, Field(pattern=rf"^{LABEL}$")]
Limit = Annotated[int, Field(ge=0, le=1_000_000_000_000)] | None


def _known_zone(name: str) -> str:
    if not is_time_zone(name):
        raise PydanticCustomError("time_zone", "the IANA name of a time zone is expected, such as Europe/Berlin")
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]


class AllowanceSettings(Section):
    """What may be used in which time, counted over all processes; unset means unlimited."""

    requests_per_minute: Limit = None
    """Requests; refilled continuously."""
    requests_per_hour: Limit = None
    """As `requests_per_minute`, over an hour."""
    requests_per_day: Limit = None
    """As `requests_per_minute`, over 24 hours."""
    tokens_per_minute: Limit = None
    """Tokens of what is asked and answered, weighed by `admission.token_weights`; refilled continuously."""
    tokens_per_hour: Limit = None
    """As `tokens_per_minute`, over an hour."""
    tokens_per_day: Limit = None
    """As `tokens_per_minute`, over 24 hours."""
    burst: Annotated[float, Field(gt=0, le=1)] = 1.0
    """How much of these may be used at once: 0.1 of 600 requests a minute are 60 at once, and one more each 0.1 s."""
    concurrent_requests: Limit = None
    """Requests at once."""
    spend_per_day: Usd | None = None
    """USD a day of the tenant's time zone. `penstock budgets` has more to offer, such as warnings."""
    spend_per_week: Usd | None = None
    """USD a week, from Monday on."""
    spend_per_month: Usd | None = None
    """USD a month of the calendar."""

    def allowances(self, *, shadow: bool = False) -> tuple[NamedAllowance, ...]:
        """Return what is limited, by the words that stand here."""
        return tuple(
            NamedAllowance(name, self._allowance(measure, window, amount), shadow)
            for name, (measure, window) in _WORDS.items()
            if (amount := getattr(self, name)) is not None
        )

    def _allowance(self, measure: Measure, window: Window, amount: int | Decimal) -> Allowance:
        if measure is Measure.SPEND:
            return Allowance(measure, window, int(Decimal(amount).scaleb(9)))
        burst = 0 if window.kind is not WindowKind.ROLLING or self.burst == 1 else max(1, int(int(amount) * self.burst))
        return Allowance(measure, window, int(amount), burst)


_WORDS = {
    "requests_per_minute": (Measure.REQUESTS, PER_MINUTE),
    "requests_per_hour": (Measure.REQUESTS, PER_HOUR),
    "requests_per_day": (Measure.REQUESTS, PER_DAY),
    "tokens_per_minute": (Measure.TOKENS, PER_MINUTE),
    "tokens_per_hour": (Measure.TOKENS, PER_HOUR),
    "tokens_per_day": (Measure.TOKENS, PER_DAY),
    "concurrent_requests": (Measure.CONCURRENT, NOW),
    "spend_per_day": (Measure.SPEND, Window(WindowKind.DAY)),
    "spend_per_week": (Measure.SPEND, Window(WindowKind.WEEK)),
    "spend_per_month": (Measure.SPEND, Window(WindowKind.MONTH)),
}


class TierSettings(AllowanceSettings):
    """Limits of every tenant of a tier, as a whole; unset means unlimited."""

    each_team: AllowanceSettings = AllowanceSettings()
    """What each team of a tenant may use, besides."""
    each_user: AllowanceSettings = AllowanceSettings()
    """What each user of a tenant may use, by all their keys together."""
    each_key: AllowanceSettings = AllowanceSettings()
    """What each API key may use."""
    each_model: AllowanceSettings = AllowanceSettings()
    """What a tenant may use of each public model."""
    each_feature: AllowanceSettings = AllowanceSettings()
    """What a tenant may use for each feature that requests name."""
    teams: dict[str, AllowanceSettings] = {}
    """What teams may use, by name, in the place of `each_team`."""
    models: dict[str, AllowanceSettings] = {}
    """What a tenant may use of public models, by name, in the place of `each_model`."""
    features: dict[str, AllowanceSettings] = {}
    """What a tenant may use for features, by name, in the place of `each_feature`."""
    shadow: AllowanceSettings = AllowanceSettings()
    """Limits of a tenant as a whole that refuse nothing: `x-penstock-shadow`, a metric and the log tell what they would."""
    priority: Literal["critical", "default", "sheddable"] = "default"
    """The most that a request may matter, which it says by `x-penstock-priority`. One that says nothing is `default`, or this
    where it is less."""

    def rules(self) -> Rules:
        """Return all of it as the domain knows it."""
        each = {kind: getattr(self, f"each_{kind}").allowances() for kind in ScopeKind if kind is not ScopeKind.TENANT}
        named = {
            Scope(kind, name): allowed.allowances()
            for kind, by_name in (
                (ScopeKind.TEAM, self.teams),
                (ScopeKind.MODEL, self.models),
                (ScopeKind.FEATURE, self.features),
            )
            for name, allowed in by_name.items()
        }
        own = (*self.allowances(), *self.shadow.allowances(shadow=True))
        rules = Rules(own, {kind: allowed for kind, allowed in each.items() if allowed}, named)
        return NO_RULES if rules.is_empty else rules


class TenantSettings(Section):
    """A tenant and the keys that the configuration itself gives it."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._-]+$")]
    """Letters, digits, `.`, `_` and `-`."""
    time_zone: TimeZone = "UTC"
    """Where its days, weeks and months begin, such as `Europe/Berlin`."""
    tier: str | TierSettings = "free"
    """The name of a tier: `free` (10 requests a minute, 2 at once), `pro` (100), `enterprise` (1000), or one of `tiers`;
    or its limits, spelled out."""
    keys: list[Secret] = []
    """API keys of at least 16 characters; write `${NAME}` rather than the key itself. `penstock keys create` makes
    others."""
    labels: Annotated[list[Label], Field(max_length=64)] = []
    """Which labelled documents these keys find: those with one of the labels. Documents without labels are found by
    every key of the tenant."""
    models: list[str] = []
    """Public models the tenant may use; empty means all."""
    regions: list[str] = []
    """Regions the tenant's data may be processed in; empty means anywhere."""
    routing: TenantRouting = TenantRouting()
    """What is preferred for the tenant among candidates that can all do the work."""
    store_responses: bool = True
    """Whether answers of `/v1/responses` may be kept for later requests. Off: none is, and one that asks for it is refused."""
    provider_batches: bool = False
    """Whether lines of the tenant's batches may be handed to [providers' own batches](batches.md#batches-of-providers), where
    they are kept for days and cost less."""


class OperatorSettings(Section):
    """Whoever may administer every tenant."""

    keys: list[Secret] = []
    """They belong to no tenant, and ask no model."""
