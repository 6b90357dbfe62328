"""One place that serves an upstream's models.

A replica asked with one key is an endpoint: health, quota and latency belong to
it, as keys have quotas of their own and replicas fail one by one.
"""

from __future__ import annotations

import msgspec

from penstock_inference.domain.batch_upstream import BatchUpstream
from penstock_inference.domain.question_upstream import QuestionUpstream
from penstock_inference.domain.relay_upstream import RelayUpstream
from penstock_inference.domain.upstream import Upstream


class Endpoint(msgspec.Struct, frozen=True):
    """One replica and one key; ``name`` tells it from the others of its pool and holds no secret.

    ``quota_group``: endpoints with the same share one quota; ``account`` tells keys apart where there are several.
    """

    upstream: Upstream
    name: str = ""
    quota_group: str = ""
    account: str = ""
    questions: QuestionUpstream | None = None
    """Who answers what is no conversation; None where nobody does."""
    relay: RelayUpstream | None = None
    """Who passes requests as they are; None where it is not open to that."""
    batches: BatchUpstream | None = None
    """Who answers many requests at once, later; None where it is not open to that."""
