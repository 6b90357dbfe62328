"""Which limits bind a request: those of its tenant's tier, and the tenant's budgets; and which of them first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from penstock_gateway.domain.access.identity import Caller, Tenant
from penstock_gateway.domain.limits.admission import Standing
from penstock_gateway.domain.limits.limit import TENANT, Allowance, Limit, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.rules import NO_RULES, Rules

_MAX_KNOWN = 4096


class _Known(msgspec.Struct, frozen=True):
    """What was found before, as long as the rules and the budgets are those objects, and the time zone is that."""

    rules: Rules
    zone: str
    budgets: tuple[Limit, ...]
    limits: tuple[Limit, ...]


class LimitBook:
    """Finds the limits of a request, and remembers them."""

    def __init__(self) -> None:
        self._budgets: Mapping[str, tuple[Limit, ...]] = {}
        self._known: dict[tuple[str, str, str, str, str, str], _Known] = {}

    def take_over_budgets(self, budgets: Mapping[str, tuple[Limit, ...]]) -> None:
        """Know these from now on, by tenant."""
        self._budgets = budgets

    def spend_limits(self) -> tuple[Limit, ...]:
        """Return the limits of spend that are known: budgets, and what requests have met; each counter once."""
        met = (limit for known in self._known.values() for limit in known.limits)
        budgets = (limit for limits in self._budgets.values() for limit in limits)
        spend = (limit for limit in (*budgets, *met) if limit.allowance.measure is Measure.SPEND)
        return tuple({(limit.tenant, limit.counter): limit for limit in spend}.values())

    def limits_of(self, caller: Caller, model: str, feature: str = "") -> tuple[Limit, ...]:
        """Return what binds a request of ``caller`` for a public model, each counter once, by the strictest that it has."""
        tenant = caller.tenant
        rules, budgets = tenant.tier.rules, self._budgets.get(tenant.name, ())
        if rules is NO_RULES and not budgets:
            return ()
        key = (tenant.name, caller.team, caller.user_id, caller.counted_key_id, model, feature)
        known = self._known.get(key)
        zone = tenant.time_zone
        if known is None or known.rules is not rules or known.budgets is not budgets or known.zone != zone:
            scopes = _scopes(caller, model, feature)
            limits = (*_of_rules(tenant, scopes), *(each for each in budgets if each.scope in scopes))
            known = _Known(rules, zone, budgets, _strictest(limits))
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            # What was found last comes last: of one counter by two calendars, spend_limits has the newer.
            self._known.pop(key, None)
            self._known[key] = known
        return known.limits


def first_to_bind(standings: Sequence[Standing], measure: Measure) -> Standing | None:
    """Return the limit of a measure of which the least part is left; None where there is none. Shadows bind nobody."""
    least: Standing | None = None
    for standing in standings:
        limit = standing.limit
        if (
            limit.allowance.measure is measure
            and not limit.shadow
            and (least is None or _left(standing) < _left(least))
        ):
            least = standing
    return least


def _left(standing: Standing) -> float:
    return standing.remaining / (standing.limit.allowance.capacity or 1)


def _scopes(caller: Caller, model: str, feature: str) -> Sequence[Scope]:
    named = (
        Scope(ScopeKind.TEAM, caller.team),
        Scope(ScopeKind.USER, caller.user_id),
        Scope(ScopeKind.KEY, caller.counted_key_id),
        Scope(ScopeKind.MODEL, model),
        Scope(ScopeKind.FEATURE, feature),
    )
    return (TENANT, *(scope for scope in named if scope.name))


def _of_rules(tenant: Tenant, scopes: Sequence[Scope]) -> Iterator[Limit]:
    rules = tenant.tier.rules
    for scope in scopes:
        allowed = rules.named.get(scope)
        if allowed is None:
            allowed = rules.own if scope is TENANT else rules.each.get(scope.kind, ())
        for named in allowed:
            yield Limit(tenant.name, scope, _in_zone(named.allowance, tenant.time_zone), named.name, named.shadow)


def _in_zone(allowance: Allowance, zone: str) -> Allowance:
    """Return the allowance by the tenant's own calendar."""
    window = allowance.window
    if not window.is_calendar or window.zone == zone:
        return allowance
    return msgspec.structs.replace(allowance, window=msgspec.structs.replace(window, zone=zone))


def _strictest(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """Return the limits, of those that share a counter the one with the least."""
    by_counter: dict[str, Limit] = {}
    for limit in limits:
        other = by_counter.get(limit.counter)
        if other is None or limit.allowance.amount < other.allowance.amount:
            by_counter[limit.counter] = limit
    return tuple(by_counter.values())
