"""Who administers, and the wall around its tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from penstock_common.errors import ScopeMissing
from penstock_gateway.domain.access.identity import Caller, KeyScope
from penstock_gateway.domain.access.networks import Network

_COMMAND_LINE = "command-line"
_MAX_USER_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Whoever asks for a change. Without ``is_operator`` it touches its own tenant only."""

    key_id: str
    tenant: str = ""
    user_id: str = ""
    is_operator: bool = False
    may_change: bool = False
    """Whether it changes what its tenant has, and does not only look."""
    models: frozenset[str] = frozenset()
    """What its own key may use; empty means all."""
    networks: tuple[Network, ...] = ()
    """Where its own key is accepted from; empty means anywhere."""
    labels: frozenset[str] = frozenset()
    """Of documents that its own key may find; an operator gives any."""
    expires_at: datetime | None = None
    """When its own key ends; None means never."""
    team: str = ""
    """That its own key is of, and so every key that it makes."""
    address: str = ""
    request_id: str = ""

    @classmethod
    def of(cls, caller: Caller, address: str, request_id: str) -> Actor:
        """Return the caller as one who administers."""
        return cls(
            key_id=caller.key_id,
            tenant=caller.tenant.name,
            user_id=caller.user_id,
            is_operator=KeyScope.OPERATOR in caller.scopes,
            may_change=KeyScope.ADMIN in caller.scopes,
            models=caller.models,
            networks=caller.networks,
            labels=caller.labels,
            expires_at=caller.expires_at,
            team=caller.team,
            address=address,
            request_id=request_id,
        )

    @classmethod
    def at_the_command_line(cls, user: str) -> Actor:
        """Return whoever typed a command, who is the operator by reaching the database, or its owner's socket."""
        return cls(key_id=_COMMAND_LINE, user_id=user[:_MAX_USER_LENGTH], is_operator=True)

    @property
    def is_bounded(self) -> bool:
        """Whether there may be keys that are wider than its own: any tenant's key can have labels that another has not."""
        return not self.is_operator or bool(self.models or self.networks) or self.expires_at is not None

    def meant(self, tenant: str) -> str:
        """Return the tenant that a request means, its own where it names none; operators may mean none.

        Raises:
            ScopeMissing: if it names another tenant.
        """
        tenant = tenant or self.tenant
        if not self.may_touch(tenant):
            raise ScopeMissing(f"The API key administers the tenant '{self.tenant}' only.", scope=KeyScope.OPERATOR)
        return tenant

    def may_touch(self, tenant: str) -> bool:
        """Return whether the tenant is its own, or every tenant is its business."""
        return self.is_operator or (tenant == self.tenant and bool(tenant))
