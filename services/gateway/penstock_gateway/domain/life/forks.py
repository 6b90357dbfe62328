"""What the router is told where a caller leaves the choice of a model to it."""

from __future__ import annotations

import msgspec

from penstock_common.contract.router import RouteRequest, subject_of
from penstock_common.llm.types import GenerationInput
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.life.order import Call, ChatOrder


class Forks:
    """The names of public models that lead to others; a reload exchanges all of them at once."""

    __slots__ = ("names",)

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        self.names = names

    def take_over(self, names: frozenset[str]) -> None:
        """Let requests that begin from now on have these."""
        self.names = names


NO_FORKS = Forks()


def with_subject(request: RouteRequest, effective: GenerationInput, call: Call[ChatOrder]) -> RouteRequest:
    """Return the request to the router with what choosing a model takes."""
    return msgspec.structs.replace(
        request,
        subject=subject_of(effective),
        tenant=call.caller.tenant.name,
        tags=tuple(sorted(call.order.context.tags.items())),
        allowed_models=_allowed(call.caller),
        output_tokens=effective.sampling.max_output_tokens or 0,
    )


def _allowed(caller: Caller) -> tuple[str, ...] | None:
    of_key, of_tenant = caller.models, caller.tenant.models
    if of_key and of_tenant:
        return tuple(sorted(of_key & of_tenant))
    return tuple(sorted(of_key or of_tenant)) or None
