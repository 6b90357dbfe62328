"""An engine that another process of the installation holds."""

from __future__ import annotations

from typing import Any

from penstock_common.contract.points import Question
from penstock_common.contract.wire.points import METHODS
from penstock_common.errors import DeadlineExceeded, InternalError, Overloaded, ServiceUnavailable
from penstock_common.points.asked import AskedPoints
from penstock_common.points.gated import GatedAsk, Patience
from penstock_common.points.store import Collection, PointsLate, PointsUnavailable
from penstock_common.rpc.client import Channel


class RemoteEngine:
    """Implements ``Engine`` by the PointsService behind a channel."""

    def __init__(self, channel: Channel, patience: Patience) -> None:
        self._channel = channel
        self._ask = GatedAsk("the vector store of another process", self._call, patience)

    def points(self, collection: Collection) -> AskedPoints:
        """Return the collection."""
        return AskedPoints(collection, self._ask)

    async def _call(self, question: Question, timeout: float, /) -> Any:  # noqa: ASYNC109 - as in Points
        try:
            return await self._channel.call(METHODS[type(question)], question, timeout=timeout)
        except PointsUnavailable:
            raise
        except DeadlineExceeded as error:
            raise PointsLate(error.message, service="qdrant") from None
        except (ServiceUnavailable, Overloaded, InternalError) as error:
            raise PointsUnavailable(error.message, service="qdrant") from None
