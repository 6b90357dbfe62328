"""A limit: how much of something a scope may use in a window; and the counter that everybody who shares it has."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from penstock_gateway.domain.limits.windows import NOW, Window


class Measure(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    """Weighed ones: see ``weights``."""
    CONCURRENT = "concurrent_requests"
    SPEND = "spend"
    """Nano-dollars."""


class ScopeKind(StrEnum):
    """Whose use is counted together, always within a tenant."""

    TENANT = "tenant"
    TEAM = "team"
    USER = "user"
    KEY = "key"
    MODEL = "model"
    """A public model, whoever of the tenant asks for it."""
    FEATURE = "feature"
    """What the request says that it is for."""


class Scope(msgspec.Struct, frozen=True, gc=False):
    """One of them; a tenant's own scope has no name beside the tenant's."""

    kind: ScopeKind
    name: str = ""

    def __str__(self) -> str:
        """Return it as messages say it: ``tenant``, ``team search``."""
        return f"{self.kind} {self.name}" if self.name else self.kind.value


TENANT = Scope(ScopeKind.TENANT)


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """So much of a measure in a window; whose, a limit says.

    ``amount`` is in requests, weighed tokens, requests at once, or nano-dollars. ``burst`` is how much of a rolling one may
    be used at once, 0: all of it.
    """

    measure: Measure
    window: Window
    amount: int
    burst: int = 0

    @property
    def capacity(self) -> int:
        """The most that one request can ever take of it."""
        return self.burst or self.amount


class Limit(msgspec.Struct, frozen=True, gc=False):
    """An allowance of somebody.

    ``name`` is what a refusal calls it: the words of the configuration, such as ``tokens_per_minute``, or a budget's name.
    One that is ``shadow`` counts and reports, and never refuses. ``budget`` is the id of the budget that it is of, if any.
    """

    tenant: str
    scope: Scope
    allowance: Allowance
    name: str
    shadow: bool = False
    budget: str = ""

    @property
    def counter(self) -> str:
        """The name of what is counted, within the tenant: the same however much is allowed, so that a change keeps it.

        A budget has a counter of its own, and so has a shadow: neither uses up what another counts.
        """
        allowance, scope = self.allowance, self.scope
        window = allowance.window
        which = self.budget or f"{allowance.measure}:{window.kind}{window.seconds or ''}"
        return f"{scope.kind}:{scope.name}:{which}{':shadow' if self.shadow else ''}"

    def __str__(self) -> str:
        """Return what is allowed, as messages say it: ``600 requests per minute``."""
        allowance = self.allowance
        if allowance.window == NOW:
            return f"{allowance.amount} requests at once"
        amount = (
            _usd(allowance.amount) if allowance.measure is Measure.SPEND else f"{allowance.amount} {allowance.measure}"
        )
        return f"{amount} per {allowance.window}"


def _usd(nano_usd: int) -> str:
    """Return dollars with their cents, and as many digits more as they have."""
    dollars, rest = divmod(nano_usd, 1_000_000_000)
    return f"${dollars:,}.{f'{rest:09d}'.rstrip('0').ljust(2, '0')}"
