"""Budgets and webhooks, as the configuration says them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from penstock_common.configuration import RELOADED, Duration, Secret, Section
from penstock_common.faults import KeyPath, nearest, refuse
from penstock_common.http.address import parse_address
from penstock_gateway.domain.budgets.budget import DEFAULT_PERCENTS, AlertRule, Budget, BudgetKind, scope_of
from penstock_gateway.domain.limits.windows import WindowKind
from penstock_gateway.domain.webhooks.courier import LEASE
from penstock_gateway.domain.webhooks.endpoint import Endpoint, is_literal, is_public
from penstock_gateway.domain.webhooks.signature import secret_from

BudgetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Amount = Annotated[Decimal, Field(ge=0, le=9_000_000_000, decimal_places=9, allow_inf_nan=False)]
Percent = Annotated[int, Field(ge=1, le=1000)]
_FRESH_WITHIN = timedelta(seconds=5)


def _known_scope(text: str) -> str:
    try:
        scope_of(text)
    except ValueError as error:
        raise PydanticCustomError("scope", "{reason}", {"reason": str(error)}) from None
    return text


class BudgetSettings(Section):
    """How much somebody may spend in a period; what is created by `penstock budgets set` stands beside."""

    name: BudgetName
    """What refusals and alerts call it: letters, digits, `.`, `_` and `-`. It wins over a created one of the tenant's."""
    tenant: str
    """Whose it is."""
    scope: Annotated[str, AfterValidator(_known_scope)] = "tenant"
    """Whose spending counts: `tenant`, or `team/NAME`, `user/ID`, `key/ID`, `model/NAME` or `feature/NAME` of it."""
    amount: Amount
    """USD. With 0, only what costs nothing is let through."""
    period: Literal["day", "week", "month", "total"] = "month"
    """By the calendar of the tenant's time zone, weeks from Monday on; `total` is a sum that is never given back."""
    kind: Literal["hard", "soft"] = "hard"
    """`hard` refuses before it is overrun, `soft` alerts alone."""
    alerts: Annotated[list[Percent | Literal["projected"]], Field(max_length=16)] = [*DEFAULT_PERCENTS, "projected"]
    """Percents of what is spent, each told once a period; `projected`: once it would be overrun, should it go on so."""
    webhook: str = ""
    """The one of `webhooks` that is told; the log and metrics are anyhow."""

    def budget(self) -> Budget:
        """Return it as the domain knows it."""
        percents = tuple(one for one in self.alerts if isinstance(one, int))
        return Budget(
            tenant=self.tenant,
            name=self.name,
            scope=scope_of(self.scope),
            amount=int(self.amount.scaleb(9)),
            period=WindowKind(self.period),
            kind=BudgetKind(self.kind),
            alerts=AlertRule(percents, "projected" in self.alerts, self.webhook),
            is_configured=True,
        )


class WebhookSettings(Section):
    """Where messages go by HTTP, in the form of Standard Webhooks."""

    url: str
    """`https://…`; no user stands in it."""
    secrets: Annotated[list[Secret], Field(min_length=1, max_length=4)]
    """`whsec_` and the base64 of 24 to 64 bytes; write `${NAME}` or `${file:/run/secrets/name}`. Each signs, so that a
    receiver can go over from one to the next: the new one first."""
    allow_private: bool = False
    """Whether it may be inside: `http://`, and addresses that are not of the internet at large."""
    tenants: list[str] = []
    """Tenants whose own administrators may name it; operators always may."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        refuse([*self._url_at_odds(), *self._secrets_at_odds()])
        return self

    def endpoint(self, name: str) -> Endpoint:
        """Return it as the domain knows it."""
        secrets = tuple(secret_from(secret.get_secret_value()) for secret in self.secrets)
        return Endpoint(name, self.url, secrets, self.allow_private, frozenset(self.tenants))

    def _url_at_odds(self) -> Iterator[tuple[KeyPath, str]]:
        try:
            address = parse_address(self.url)
        except ValueError as error:
            yield ("url",), str(error)
            return
        if address.authorization:
            yield ("url",), "a webhook's URL names no user: what comes there is signed"
        if self.allow_private:
            return
        if not address.origin.tls:
            yield ("url",), "https:// is expected; allow_private permits http:// inside"
        if is_literal(address.origin.host) and not is_public(address.origin.host):
            yield ("url",), "this address is not of the internet at large; allow_private permits it"

    def _secrets_at_odds(self) -> Iterator[tuple[KeyPath, str]]:
        for at, secret in enumerate(self.secrets):
            try:
                secret_from(secret.get_secret_value())
            except ValueError as error:
                yield ("secrets", at), str(error)


class WebhookDeliverySettings(Section):
    """How messages are brought to webhooks."""

    every: Duration = timedelta(seconds=2)
    """How often a process looks for messages that are due."""
    connect_timeout: Duration = timedelta(seconds=3)
    """For a connection, TLS included."""
    refresh: Duration = timedelta(seconds=2)
    """How often a process reads which webhooks tenants have made; at most 5s."""
    timeout: Duration = timedelta(seconds=15)
    """For a try as a whole; at most 1m."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        names = ("every", "refresh", "connect_timeout", "timeout")
        refuse(((name,), "it must be longer than nothing") for name in names if getattr(self, name) <= timedelta())
        if self.refresh > _FRESH_WITHIN:
            refuse([(("refresh",), "at most 5s is expected")])
        if self.timeout > LEASE / 2:
            refuse([(("timeout",), "at most 1m is expected")])
        return self


class BudgetWatchSettings(Section):
    """How often budgets are looked at."""

    refresh: Duration = timedelta(seconds=2)
    """How often a process reads what was changed, granted and deleted; at most 5s."""
    every: Duration = timedelta(seconds=10)
    """How often one process of all looks what is spent, and tells what is to be told."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        refuse(
            ((name,), "it must be longer than nothing")
            for name in ("refresh", "every")
            if getattr(self, name) <= timedelta()
        )
        if self.refresh > _FRESH_WITHIN:
            refuse([(("refresh",), "at most 5s: a changed budget holds within that time")])
        return self


class BudgetSections(Section):
    """The sections about money and who is told of it."""

    budgets: Annotated[list[BudgetSettings], RELOADED] = []
    """How much tenants and their teams, users, keys, models and features may spend; see [budgets](budgets.md)."""
    webhooks: Annotated[dict[BudgetName, WebhookSettings], RELOADED] = {}
    """Where alerts go, by name."""
    budget_watch: BudgetWatchSettings = BudgetWatchSettings()
    webhook_delivery: WebhookDeliverySettings = WebhookDeliverySettings()

    def budgets_configured(self) -> tuple[Budget, ...]:
        """Return the budgets as the domain knows them."""
        return tuple(budget.budget() for budget in self.budgets)

    def endpoints(self) -> dict[str, Endpoint]:
        """Return the webhooks as the domain knows them, by name."""
        return {name: webhook.endpoint(name) for name, webhook in self.webhooks.items()}


def budgets_at_odds(budgets: list[BudgetSettings], webhooks: Collection[str]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong with budgets beside one another."""
    names: set[tuple[str, str]] = set()
    for index, budget in enumerate(budgets):
        if (budget.tenant, budget.name) in names:
            yield ("budgets", index, "name"), f"the tenant '{budget.tenant}' has the budget '{budget.name}' twice"
        names.add((budget.tenant, budget.name))
        if budget.webhook and budget.webhook not in webhooks:
            known = nearest(budget.webhook, set(webhooks))
            yield ("budgets", index, "webhook"), f"there is no webhook '{budget.webhook}'{known}"
