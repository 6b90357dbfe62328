"""What a tier allows, to whom."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from penstock_gateway.domain.limits.limit import Allowance, Scope, ScopeKind


class NamedAllowance(msgspec.Struct, frozen=True, gc=False):
    """An allowance with the word that the configuration has for it, such as ``tokens_per_minute``."""

    name: str
    allowance: Allowance
    shadow: bool = False


class Rules(msgspec.Struct, frozen=True, gc=False):
    """What a tier allows: to a tenant as a whole, to each of its scopes of a kind, and to single ones by name.

    A scope with rules of its own has them in the place of its kind's.
    """

    own: tuple[NamedAllowance, ...] = ()
    each: Mapping[ScopeKind, tuple[NamedAllowance, ...]] = {}
    named: Mapping[Scope, tuple[NamedAllowance, ...]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is limited."""
        return not (self.own or self.each or self.named)


NO_RULES = Rules()
