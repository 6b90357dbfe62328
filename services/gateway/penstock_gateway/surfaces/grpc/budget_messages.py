"""Budgets as the contract's messages, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.protobuf import timestamp_pb2

from penstock.gateway.v1 import budget_service_pb2 as pb
from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.budgets.administration import BudgetLine
from penstock_gateway.domain.budgets.budget import PERIODS, AlertRule, Budget, BudgetKind, Grace
from penstock_gateway.domain.budgets.explaining import Asked, Binding, Explained
from penstock_gateway.domain.budgets.standing import BudgetStanding
from penstock_gateway.domain.limits.limit import Scope, ScopeKind
from penstock_gateway.domain.limits.windows import WindowKind

_SCOPES: dict[int, ScopeKind] = {pb.BudgetScopeKind.Value(f"BUDGET_SCOPE_KIND_{kind.name}"): kind for kind in ScopeKind}
_SCOPE_NUMBERS: dict[ScopeKind, Any] = {kind: number for number, kind in _SCOPES.items()}
_PERIODS: dict[int, WindowKind] = {pb.BudgetPeriod.Value(f"BUDGET_PERIOD_{kind.name}"): kind for kind in PERIODS}
_PERIOD_NUMBERS: dict[WindowKind, Any] = {kind: number for number, kind in _PERIODS.items()}
_KINDS: dict[int, BudgetKind] = {pb.BudgetKind.Value(f"BUDGET_KIND_{kind.name}"): kind for kind in BudgetKind}
_KIND_NUMBERS: dict[BudgetKind, Any] = {kind: number for number, kind in _KINDS.items()}
_DEFAULTS = {
    "scope_kind": pb.BUDGET_SCOPE_KIND_TENANT,
    "period": pb.BUDGET_PERIOD_MONTH,
    "kind": pb.BUDGET_KIND_HARD,
}


def budget_from(message: pb.Budget) -> Budget:
    """Return the budget that a request describes.

    Raises:
        InvalidRequest: if a word in it is none that is known.
    """
    return Budget(
        tenant=message.tenant,
        name=message.name,
        scope=Scope(_known(_SCOPES, message, "scope_kind"), message.scope_name),
        amount=message.amount_nano_usd,
        period=_known(_PERIODS, message, "period"),
        kind=_known(_KINDS, message, "kind"),
        alerts=AlertRule(tuple(message.alert_percents), message.alerts_projected, message.webhook),
    )


def grace_from(request: pb.GrantGraceRequest) -> Grace:
    """Return the grace that a request asks for, of nobody yet."""
    until = moment_from(request.until, "until")
    return Grace(request.amount_nano_usd, until, request.reason, "", until)


def moment_from(message: timestamp_pb2.Timestamp, field: str) -> datetime:
    """Return the time.

    Raises:
        InvalidRequest: if it is none.
    """
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{field} is no time.", field=field) from None


def budget_message(budget: Budget, zone: str, now: datetime) -> pb.Budget:
    """Return the budget."""
    message = pb.Budget(
        id=budget.id,
        tenant=budget.tenant,
        name=budget.name,
        scope_kind=_SCOPE_NUMBERS[budget.scope.kind],
        scope_name=budget.scope.name,
        amount_nano_usd=budget.amount,
        period=_PERIOD_NUMBERS[budget.period],
        kind=_KIND_NUMBERS[budget.kind],
        alert_percents=budget.alerts.percents,
        alerts_projected=budget.alerts.projected,
        webhook=budget.alerts.webhook,
        is_configured=budget.is_configured,
        is_operators=budget.is_operators,
        time_zone=zone,
        created_by=budget.made_by,
    )
    for grace in budget.live_graces(now):
        line = message.graces.add(amount_nano_usd=grace.amount, reason=grace.reason, granted_by=grace.by)
        line.until.FromDatetime(grace.until)
        line.granted_at.FromDatetime(grace.granted_at)
    if budget.made_at is not None:
        message.created_at.FromDatetime(budget.made_at)
    return message


def standing_message(standing: BudgetStanding | None) -> pb.BudgetStanding | None:
    """Return where a budget stands."""
    if standing is None:
        return None
    message = pb.BudgetStanding(
        limit_nano_usd=standing.limit,
        spent_nano_usd=standing.spent,
        reserved_nano_usd=standing.reserved,
        remaining_nano_usd=standing.remaining,
        projected_nano_usd=standing.projected,
    )
    if not standing.is_endless:
        message.period_start.FromDatetime(standing.period.start)
        message.resets_at.FromDatetime(standing.period.end)
    return message


def line_message(line: BudgetLine, zone: str, now: datetime) -> pb.BudgetLine:
    """Return a budget and where it stands."""
    return pb.BudgetLine(budget=budget_message(line.budget, zone, now), standing=standing_message(line.standing))


def asked_from(request: pb.ExplainLimitsRequest) -> Asked:
    """Return whose request is to be looked at."""
    return Asked(request.key_id, request.tenant, request.team, request.user_id, request.model, request.feature)


def explained_message(explained: Explained) -> pb.ExplainLimitsResponse:
    """Return the limits."""
    caller = explained.caller
    return pb.ExplainLimitsResponse(
        limits=map(_binding_message, explained.bindings),
        tenant=caller.tenant.name,
        team=caller.team,
        user_id=caller.user_id,
        key_id=caller.key_id,
    )


def _binding_message(binding: Binding) -> pb.BindingLimit:
    limit = binding.limit
    message = pb.BindingLimit(
        name=limit.name,
        source=binding.source,
        scope=str(limit.scope),
        allowance=str(limit),
        measure=limit.allowance.measure.value,
        amount=limit.allowance.amount,
        used=binding.used,
        reserved=binding.reserved,
        remaining=binding.remaining,
        is_shadow=limit.shadow,
        binds_first=binding.binds_first,
    )
    if binding.resets_at is not None:
        message.resets_at.FromDatetime(binding.resets_at)
    return message


def _known(words: dict[int, Any], message: pb.Budget, field: str) -> Any:
    number = getattr(message, field) or _DEFAULTS[field]
    if number not in words:
        raise InvalidRequest(f"budget.{field} is none that is known.", field=f"budget.{field}")
    return words[number]
