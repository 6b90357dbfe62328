"""What can be run, as one revision of the configuration says it, and which revision a request runs on."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from penstock_common.llm.types import Plan
from penstock_inference.domain.catalogue import Catalogue
from penstock_inference.domain.generation import GenerationParts
from penstock_inference.domain.model_control import ModelAdministration
from penstock_inference.domain.relay import Relays
from penstock_inference.domain.upstream_batches import UpstreamBatches


@dataclass(frozen=True, slots=True, eq=False)
class Revision:
    """What can be run: never changed, so that a request ends on the one that it began with."""

    catalogue: Catalogue
    parts: GenerationParts
    models: ModelAdministration
    relays: Relays
    batches: UpstreamBatches

    def lacks(self, plan: Plan) -> bool:
        """Return whether a candidate of the plan is none of its models."""
        return any(self.catalogue.find(candidate) is None for candidate in plan.candidates)


class Revisions:
    """The newest revision, and for a while those before it: for requests whose plan was made when they were the newest."""

    def __init__(self, first: Revision) -> None:
        self.newest = first
        self.earlier: deque[Revision] = deque()
        """The newest of them first; nearly always none."""

    def take_over(self, revision: Revision, earlier_plans: timedelta) -> None:
        """Run requests by this one from now on; the one before it is let go after ``earlier_plans``."""
        before, self.newest = self.newest, revision
        self.earlier.appendleft(before)
        # Each goes at its own time, which a reload may have changed.
        asyncio.get_running_loop().call_later(earlier_plans.total_seconds(), self.earlier.remove, before)

    def of(self, plan: Plan) -> Revision:
        """Return the newest revision that has every candidate of the plan; the newest of all where none has."""
        for revision in (self.newest, *self.earlier):
            if not revision.lacks(plan):
                return revision
        return self.newest
