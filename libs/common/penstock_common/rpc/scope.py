"""Who and what a call belongs to: read from metadata, carried to the next hop.

Identity travels as metadata that only the gateway sets; the public surfaces
drop it from outside.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar

import msgspec

from penstock_common.priority import PRIORITIES, Priority

REQUEST_ID_KEY = "x-request-id"
TRACEPARENT_KEY = "traceparent"
TENANT_KEY = "penstock-tenant"
PRIORITY_KEY = "penstock-priority"

Metadata = tuple[tuple[str, str | bytes], ...]


class RequestScope(msgspec.Struct, frozen=True, gc=False):
    """The identity of one request, in every service it passes, and how much it matters.

    ``deadline`` is on the clock of ``time.monotonic`` and travels as gRPC's own
    deadline, not as metadata.
    """

    request_id: str = ""
    tenant: str = ""
    traceparent: str = ""
    deadline: float | None = None
    priority: Priority = Priority.DEFAULT

    def to_metadata(self) -> Metadata:
        """Return the metadata of an outgoing call."""
        return tuple(
            (key, value)
            for key, value in (
                (REQUEST_ID_KEY, self.request_id),
                (TENANT_KEY, self.tenant),
                (TRACEPARENT_KEY, self.traceparent),
                (PRIORITY_KEY, "" if self.priority is Priority.DEFAULT else self.priority.word),
            )
            if value
        )

    @classmethod
    def from_metadata(cls, metadata: Iterable[tuple[str, str | bytes]]) -> RequestScope:
        """Return the scope of an incoming call from inside the suite."""
        values = {key: value for key, value in metadata if isinstance(value, str)}
        return cls(
            request_id=values.get(REQUEST_ID_KEY, ""),
            tenant=values.get(TENANT_KEY, ""),
            traceparent=values.get(TRACEPARENT_KEY, ""),
            # A later version's word is none of ours.
            priority=PRIORITIES.get(values.get(PRIORITY_KEY, ""), Priority.DEFAULT),
        )


NOBODY = RequestScope()
"""The scope of what is done for no request."""

CURRENT_SCOPE: ContextVar[RequestScope] = ContextVar("penstock_request_scope", default=NOBODY)
