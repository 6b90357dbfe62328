"""What the router is told where a caller leaves the choice of a model to it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from penstock_common.contract.router import Policy, RouteRequest, subject_of
from penstock_common.llm.types import GenerationInput, RequestContext
from penstock_gateway.domain.access.identity import Caller


class Choices(NamedTuple):
    """Names of public models about whose requests the router is told more: that lead to others, and with a policy."""

    leading: frozenset[str] = frozenset()
    preferring: frozenset[str] = frozenset()


NO_CHOICES = Choices()


class Forks:
    """The public models that leave a choice to the router; a reload exchanges all of them at once."""

    __slots__ = ("_leading", "names")

    def __init__(self, choices: Choices = NO_CHOICES) -> None:
        self.take_over(choices)

    def take_over(self, choices: Choices) -> None:
        """Let requests that begin from now on have these."""
        self._leading = choices.leading
        self.names = choices.leading | choices.preferring

    def told(
        self,
        request: RouteRequest,
        effective: GenerationInput,
        caller: Caller,
        context: RequestContext,
        policy: Policy | None = None,
    ) -> RouteRequest:
        """Return the request to the router with what its choice takes: among candidates, and among models before that."""
        request = msgspec.structs.replace(
            request,
            tenant=caller.tenant.name,
            output_tokens=effective.sampling.max_output_tokens or 0,
            policy=policy,
        )
        if request.model not in self._leading:
            return request
        return msgspec.structs.replace(
            request,
            subject=subject_of(effective),
            tags=tuple(sorted(context.tags.items())),
            allowed_models=_allowed(caller),
        )


NO_FORKS = Forks()


def _allowed(caller: Caller) -> tuple[str, ...] | None:
    of_key, of_tenant = caller.models, caller.tenant.models
    if of_key and of_tenant:
        return tuple(sorted(of_key & of_tenant))
    return tuple(sorted(of_key or of_tenant)) or None
