"""Tenants and their limits, and the operator, as the configuration says them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from penstock_common.configuration import Secret, Section
from penstock_common.routes import TenantRouting
from penstock_gateway.domain.administration.bounds import LABEL

Label = Annotated[str, Field(pattern=rf"^{LABEL}$")]
Limit = Annotated[int, Field(ge=0)] | None


class TierSettings(Section):
    """Limits of every tenant of a tier; unset means unlimited."""

    requests_per_minute: Limit = None
    """Requests of a tenant in any minute, over all processes."""
    concurrent_requests: Limit = None
    """Requests of a tenant at once, over all processes."""
    priority: Literal["critical", "default", "sheddable"] = "default"
    """The most that a request may matter, which it says by `x-penstock-priority`. One that says nothing is `default`, or this
    where it is less."""


class TenantSettings(Section):
    """A tenant and the keys that the configuration itself gives it."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._-]+$")]
    """Letters, digits, `.`, `_` and `-`."""
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


class OperatorSettings(Section):
    """Whoever may administer every tenant."""

    keys: list[Secret] = []
    """They belong to no tenant, and ask no model."""
