"""Where the other services of the suite are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from penstock_common.rpc.client import Channel
from penstock_common.upstreams.quality import QualityBoard
from penstock_gateway.domain.status.report import ConfigurationRevision


def _since_now() -> Callable[[], ConfigurationRevision]:
    revision = ConfigurationRevision("", datetime.now(UTC))
    return lambda: revision


@dataclass(frozen=True, slots=True)
class Channels:
    """The services the gateway calls, over either transport. What is None is not there: nothing is cached, or embedded.

    ``cache_is_here``: the cache is in this process, and keeps an answer at once. ``inference_is_here``: so is inference,
    which tells of its attempts even where a caller leaves.
    """

    router: Channel
    inference: Channel
    cache: Channel | None = None
    embedding: Channel | None = None
    cache_is_here: bool = False
    inference_is_here: bool = False
    collectors: Sequence[Any] = ()
    """What services in this process measure, as prometheus_client's collectors."""
    revision: Callable[[], ConfigurationRevision] = field(default_factory=_since_now)
    """Tells which configuration this process runs now."""
    quality: QualityBoard | None = None
    """Where the router of this process reads how good answers were found to be; None where it is elsewhere."""
