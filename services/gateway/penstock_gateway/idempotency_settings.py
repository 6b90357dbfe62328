"""Requests that are sent again under one key, as the configuration says them."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import model_validator

from penstock_common.configuration import Duration, Section
from penstock_common.faults import refuse
from penstock_gateway.domain.idempotency.calls import CallTerms

_POSITIVE = ("kept", "lease", "forget_every")


class IdempotencySettings(Section):
    """Requests that carry the header `Idempotency-Key` ([idempotency](idempotency.md))."""

    kept: Duration = CallTerms().kept
    """How long an answer is given again to whoever repeats its request; at most 7d."""
    lease: Duration = CallTerms().lease
    """How long a call that changes something is its process's that is not heard of any more; of inference it is `jobs.lease`."""
    forget_every: Duration = timedelta(minutes=5)
    """How often a process deletes answers that are too old."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        refuse(((name,), "it must be longer than nothing") for name in _POSITIVE if getattr(self, name) <= timedelta())
        if self.kept > timedelta(days=7):
            refuse([(("kept",), "at most 7d is expected")])
        return self

    @property
    def terms(self) -> CallTerms:
        """How long answers are kept, and calls held."""
        return CallTerms(kept=self.kept, lease=self.lease)
