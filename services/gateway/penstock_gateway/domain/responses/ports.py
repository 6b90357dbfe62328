"""Where answers are kept. Each method is one transaction, and raises ``ServiceUnavailable`` where the database is away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from penstock_gateway.domain.responses.response import Content, Extent, Response, Status


class ResponseStore(Protocol):
    """Keeps answers. What is of another tenant, or too old, is as what does not exist."""

    async def keep(self, response: Response) -> None:
        """Keep an answer; where it is there already, however it stands, or was deleted, that stays so."""
        ...

    async def get(self, tenant: str, response_id: str, now: datetime) -> Response | None:
        """Return an answer."""
        ...

    async def extent(self, tenant: str, response_id: str, now: datetime, most: int) -> Extent | None:
        """Return what ``chain`` would have, of which nothing is read."""
        ...

    async def chain(self, tenant: str, response_id: str, now: datetime, most: int) -> Sequence[Response]:
        """Return an answer and those that it went on from, ``most`` in all, the oldest first.

        An earlier one is there however old it is, while a later one is. Where one was deleted, what stood before it is missing.
        """
        ...

    async def of_job(self, tenant: str, job_id: str) -> Response | None:
        """Return the answer that a job makes."""
        ...

    async def settle(self, response: Response, status: Status, content: Content) -> bool:
        """Keep how an answer ended that was a job's; False where somebody has, or it is gone."""
        ...

    async def delete(self, tenant: str, response_id: str) -> bool:
        """Delete an answer, all but its id until its time is over; False where there is none."""
        ...

    async def pending(self, after: str, limit: int) -> Sequence[Response]:
        """Return answers of jobs whose end is not kept yet, by their ids."""
        ...

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete what is too old, and has nothing kept that went on from it; return how many there were."""
        ...
