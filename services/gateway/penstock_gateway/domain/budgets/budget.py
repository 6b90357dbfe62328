"""A budget, and the limit that it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

import msgspec

from penstock_gateway.domain.limits.limit import TENANT, Allowance, Limit, Measure, Scope, ScopeKind
from penstock_gateway.domain.limits.windows import Window, WindowKind

PERIODS = (WindowKind.DAY, WindowKind.WEEK, WindowKind.MONTH, WindowKind.TOTAL)
DEFAULT_PERCENTS = (50, 80, 100)
MAX_PERCENT = 1000
MAX_NANO_USD = 9_000_000_000_000_000_000
"""What fits into 64 bits with room to add."""
_ID_DIGITS = 16
_USER_ID = re.compile(r"[0-9A-Za-z]{12}|oidc-[0-9a-f]+")
NO_USER = (
    "a user is named by the id that 'penstock users list' shows, or oidc-… of who comes by a token; whom the body of a request "
    "names as its user is counted in no budget: give each a key of a user's, or a feature's name"
)
"""What is told of a scope that counts nobody."""


class BudgetKind(StrEnum):
    """What happens when a budget is spent."""

    HARD = "hard"
    """Requests are refused before it is overrun."""
    SOFT = "soft"
    """Nothing but alerts."""


class Grace(msgspec.Struct, frozen=True, gc=False):
    """``amount`` nano-dollars more until a time; ``by`` is the id of who granted it."""

    amount: int
    until: datetime
    reason: str
    by: str
    granted_at: datetime


class AlertRule(msgspec.Struct, frozen=True):
    """When somebody is told, and by which webhook: at ``percents`` of what may be spent, and before it would be overrun."""

    percents: tuple[int, ...] = DEFAULT_PERCENTS
    projected: bool = True
    webhook: str = ""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """``amount`` nano-dollars for a scope of a tenant in each ``period``; ``made_by`` is empty for the configuration's."""

    tenant: str
    name: str
    scope: Scope = TENANT
    amount: int
    period: WindowKind = WindowKind.MONTH
    kind: BudgetKind = BudgetKind.HARD
    alerts: AlertRule = AlertRule()
    graces: tuple[Grace, ...] = ()
    is_configured: bool = False
    is_operators: bool = True
    """Whether operators alone change it."""
    made_by: str = ""
    made_at: datetime | None = None

    @property
    def id(self) -> str:
        """The same for the same tenant, scope, period and name, whoever makes it again; another where one of them differs.

        It names what is counted. A count that is not known begins with what the ledger says of the scope, so neither
        making a budget again nor giving it another period resets what was spent.
        """
        what = (self.tenant, self.scope.kind.value, self.scope.name, self.period.value, self.name)
        return sha256("\x00".join(what).encode(errors="surrogatepass")).hexdigest()[:_ID_DIGITS]

    def live_graces(self, now: datetime) -> tuple[Grace, ...]:
        """Return the graces that have not ended, the newest first."""
        live = [grace for grace in self.graces if now < grace.until]
        return tuple(sorted(live, key=lambda grace: grace.granted_at, reverse=True))

    def effective(self, now: datetime) -> int:
        """Return the nano-dollars that may be spent, with the graces that hold now."""
        return min(MAX_NANO_USD, self.amount + sum(grace.amount for grace in self.live_graces(now)))

    def window(self, zone: str) -> Window:
        """Return its period by the calendar of a time zone."""
        return Window(self.period, zone=zone) if self.period is not WindowKind.TOTAL else Window(self.period)

    def limit(self, zone: str, now: datetime) -> Limit:
        """Return what binds requests: a soft one is counted, and refuses nothing."""
        allowance = Allowance(Measure.SPEND, self.window(zone), self.effective(now))
        return Limit(self.tenant, self.scope, allowance, self.name, self.kind is BudgetKind.SOFT, self.id)


def scope_of(text: str) -> Scope:
    """Return the scope that ``tenant``, ``team/search`` or the like says; as much as ``kind`` and name behind a stroke.

    Raises:
        ValueError: if it is written in another way.
    """
    kind, _, name = text.partition("/")
    if text == ScopeKind.TENANT:
        return TENANT
    named = {one.value: one for one in ScopeKind if one is not ScopeKind.TENANT}
    if kind not in named or not name:
        raise ValueError(f"a scope is tenant, or one of {', '.join(f'{one}/NAME' for one in named)}")
    scope = Scope(named[kind], name)
    if counts_nobody(scope):
        raise ValueError(NO_USER)
    return scope


def counts_nobody(scope: Scope) -> bool:
    """Return whether it is of a user of whom no request can be: ids are written in one of two ways."""
    return scope.kind is ScopeKind.USER and _USER_ID.fullmatch(scope.name) is None


def scope_text(scope: Scope) -> str:
    """Return a scope as ``scope_of`` reads it."""
    return f"{scope.kind.value}/{scope.name}" if scope.name else scope.kind.value


def described(budget: Budget) -> str:
    """Return what a budget is, in a line for the audit log."""
    alerts = [*map(str, budget.alerts.percents), *(["projected"] if budget.alerts.projected else [])]
    told = f" to {budget.alerts.webhook}" if budget.alerts.webhook else ""
    amount = usd(budget.amount)
    return f"{scope_text(budget.scope)} {amount} per {budget.period} {budget.kind} alerts {' '.join(alerts) or 'none'}{told}"


def usd(nano_usd: int) -> str:
    """Return dollars with all the digits that there are, two at least: ``$1,234.50``."""
    sign = "-" if nano_usd < 0 else ""
    whole, rest = divmod(abs(nano_usd), 1_000_000_000)
    return f"{sign}${whole:,}.{f'{rest:09}'.rstrip('0'):0<2}"


def merged(configured: Sequence[Budget], created: Sequence[Budget]) -> tuple[Budget, ...]:
    """Return budgets of the configuration and created ones, each name of a tenant once: the configuration's wins."""
    taken = {(budget.tenant, budget.name) for budget in configured}
    return (*configured, *(budget for budget in created if (budget.tenant, budget.name) not in taken))
