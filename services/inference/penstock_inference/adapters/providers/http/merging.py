"""What one read brought, as few events."""

from __future__ import annotations

from typing import Any

from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import Usage
from penstock_inference.domain.upstream import Stopped, Unread, UpstreamEvent


def merged(events: list[UpstreamEvent]) -> list[UpstreamEvent]:
    """Return the deltas merged, then usage and end, which belong after them."""
    deltas: list[Any] = [event for event in events if not isinstance(event, Usage | Stopped | Unread)]
    # Deltas in, deltas out; a gap parts its neighbours.
    told: list[Any] = merge_deltas(deltas)
    told += [event for event in events if isinstance(event, Usage | Stopped | Unread)]
    return told
