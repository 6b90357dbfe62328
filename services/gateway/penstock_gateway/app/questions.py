"""Rerank, moderation and what passes as it is: their lives, and how gRPC callers reach them."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_gateway.adapters.services.questions import QuestionClient
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.ports import Router
from penstock_gateway.domain.life.questions import QuestionLife, QuestionParts
from penstock_gateway.domain.life.relaying import RelayLife
from penstock_gateway.surfaces.arrival import Reception
from penstock_gateway.surfaces.grpc.moderation import ModerationServicer
from penstock_gateway.surfaces.grpc.rerank import RerankServicer


@dataclass(frozen=True, slots=True)
class OtherLives:
    """The lives of what is no conversation."""

    questions: QuestionLife
    relays: RelayLife

    @classmethod
    def over(cls, visits: VisitParts, router: Router, inference: QuestionClient) -> OtherLives:
        """Return them over the services."""
        return cls(QuestionLife(visits, QuestionParts(router, inference)), RelayLife(visits, inference))

    def servicers(self, reception: Reception) -> tuple[RerankServicer, ModerationServicer]:
        """Return what serves them over gRPC."""
        return RerankServicer(reception, self.questions), ModerationServicer(reception, self.questions)
