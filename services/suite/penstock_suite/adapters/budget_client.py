"""BudgetService as the command asks for it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from google.protobuf import field_mask_pb2

from penstock.gateway.v1 import budget_service_pb2 as pb
from penstock_suite.domain.budgets import (
    BindingRow,
    BudgetDraft,
    BudgetLineRow,
    BudgetRow,
    BudgetStandingRow,
    ExplainedRequest,
    GraceRow,
)
from penstock_suite.domain.failure import Misconfigured

_PAGE_SIZE = 500
_PROJECTED = "projected"
_SCOPE, _PERIOD, _KIND = "BUDGET_SCOPE_KIND_", "BUDGET_PERIOD_", "BUDGET_KIND_"
_MAX_PERCENT_DIGITS = 4


class BudgetClient:
    """Implements ``Budgets``: converts, asks, converts."""

    async def _ask(self, method: str, request: Any) -> Any:
        """Return what the service answers, or raise the ``SuiteFailure`` that says why not."""
        raise NotImplementedError

    async def budgets(self, tenant: str, over_percent: int) -> list[BudgetLineRow]:
        """Return the budgets of every page."""
        request = pb.ListBudgetsRequest(tenant=tenant, over_percent=over_percent, page_size=_PAGE_SIZE)
        found: list[BudgetLineRow] = []
        while True:
            page = await self._ask("ListBudgets", request)
            found += map(_line, page.budgets)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def budget(self, tenant: str, name: str) -> BudgetLineRow:
        """Return a budget and where it stands."""
        return _line(await self._ask("GetStanding", pb.GetStandingRequest(tenant=tenant, name=name)))

    async def create_budget(self, draft: BudgetDraft) -> BudgetRow:
        """Return the new budget."""
        return _budget((await self._ask("CreateBudget", pb.CreateBudgetRequest(budget=_message(draft)))).budget)

    async def change_budget(self, draft: BudgetDraft, fields: Collection[str]) -> BudgetRow:
        """Return the changed budget."""
        mask = field_mask_pb2.FieldMask(paths=fields)
        request = pb.UpdateBudgetRequest(budget=_message(draft), update_mask=mask)
        return _budget((await self._ask("UpdateBudget", request)).budget)

    async def delete_budget(self, tenant: str, name: str) -> None:
        """Take a budget away."""
        await self._ask("DeleteBudget", pb.DeleteBudgetRequest(tenant=tenant, name=name))

    async def grant_grace(
        self, tenant: str, name: str, amount_nano_usd: int, until: datetime, reason: str
    ) -> BudgetRow:
        """Return the budget, which has more until then."""
        request = pb.GrantGraceRequest(tenant=tenant, name=name, amount_nano_usd=amount_nano_usd, reason=reason)
        request.until.FromDatetime(until)
        return _budget((await self._ask("GrantGrace", request)).budget)

    async def explained_limits(self, wanted: ExplainedRequest) -> tuple[BindingRow, ...]:
        """Return what would bind a request."""
        request = pb.ExplainLimitsRequest(
            key_id=wanted.key_id,
            tenant=wanted.tenant,
            team=wanted.team,
            user_id=wanted.user_id,
            model=wanted.model,
            feature=wanted.feature,
        )
        return tuple(map(_binding, (await self._ask("ExplainLimits", request)).limits))


def _message(draft: BudgetDraft) -> pb.Budget:
    alerts = draft.alerts or ()
    message = pb.Budget(
        tenant=draft.tenant,
        name=draft.name,
        amount_nano_usd=draft.amount_nano_usd or 0,
        alert_percents=[_percent(alert) for alert in alerts if alert != _PROJECTED],
        alerts_projected=_PROJECTED in alerts,
        webhook=draft.webhook or "",
    )
    if draft.scope:
        kind, _, message.scope_name = draft.scope.partition("/")
        message.scope_kind = _number(pb.BudgetScopeKind, _SCOPE, kind, "--scope")
    if draft.period:
        message.period = _number(pb.BudgetPeriod, _PERIOD, draft.period, "--period")
    if draft.kind:
        message.kind = _number(pb.BudgetKind, _KIND, draft.kind, "--kind")
    return message


def _percent(text: str) -> int:
    digits = text.removesuffix("%")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > _MAX_PERCENT_DIGITS:
        raise Misconfigured(f"--alert: a percent such as 80, or projected, is expected, not '{text}'")
    return int(digits)


def _number(words: Any, prefix: str, word: str, option: str) -> Any:
    known = {name.removeprefix(prefix).lower(): number for name, number in words.items() if number}
    if word not in known:
        raise Misconfigured(f"{option}: there is no '{word}'; there are {', '.join(known)}")
    return known[word]


def _word(words: Any, prefix: str, number: int) -> str:
    """Return the word; the number itself where a later gateway has one more."""
    known = {value: name.removeprefix(prefix).lower() for name, value in words.items()}
    return str(known.get(number, number))


def _line(message: Any) -> BudgetLineRow:
    standing = _standing(message.standing) if message.HasField("standing") else None
    return BudgetLineRow(budget=_budget(message.budget), standing=standing)


def _budget(message: pb.Budget) -> BudgetRow:
    scope = _word(pb.BudgetScopeKind, _SCOPE, message.scope_kind)
    projected = (_PROJECTED,) if message.alerts_projected else ()
    return BudgetRow(
        id=message.id,
        tenant=message.tenant,
        name=message.name,
        scope=f"{scope}/{message.scope_name}" if message.scope_name else scope,
        amount_nano_usd=message.amount_nano_usd,
        period=_word(pb.BudgetPeriod, _PERIOD, message.period),
        kind=_word(pb.BudgetKind, _KIND, message.kind),
        alerts=(*map(str, message.alert_percents), *projected),
        webhook=message.webhook,
        graces=tuple(map(_grace, message.graces)),
        is_configured=message.is_configured,
        is_operators=message.is_operators,
        time_zone=message.time_zone,
        created_at=_moment(message, "created_at"),
        created_by=message.created_by,
    )


def _grace(message: pb.Grace) -> GraceRow:
    return GraceRow(
        amount_nano_usd=message.amount_nano_usd,
        until=message.until.ToDatetime(tzinfo=UTC),
        reason=message.reason,
        granted_by=message.granted_by,
        granted_at=message.granted_at.ToDatetime(tzinfo=UTC),
    )


def _standing(message: pb.BudgetStanding) -> BudgetStandingRow:
    return BudgetStandingRow(
        limit_nano_usd=message.limit_nano_usd,
        spent_nano_usd=message.spent_nano_usd,
        reserved_nano_usd=message.reserved_nano_usd,
        remaining_nano_usd=message.remaining_nano_usd,
        projected_nano_usd=_known(message, "projected_nano_usd"),
        period_start=_moment(message, "period_start"),
        resets_at=_moment(message, "resets_at"),
    )


def _binding(message: pb.BindingLimit) -> BindingRow:
    return BindingRow(
        name=message.name,
        source=message.source,
        scope=message.scope,
        allowance=message.allowance,
        measure=message.measure,
        amount=message.amount,
        used=_known(message, "used"),
        reserved=_known(message, "reserved"),
        remaining=_known(message, "remaining"),
        resets_at=_moment(message, "resets_at"),
        is_shadow=message.is_shadow,
        binds_first=message.binds_first,
    )


def _known(message: Any, field: str) -> int | None:
    return getattr(message, field) if message.HasField(field) else None


def _moment(message: Any, field: str) -> datetime | None:
    return getattr(message, field).ToDatetime(tzinfo=UTC) if message.HasField(field) else None
