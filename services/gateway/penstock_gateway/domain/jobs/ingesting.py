"""One attempt at taking a document in: put once, however often that is tried, and waited for until it can be found."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from datetime import timedelta

from penstock_common.contract.knowledge import Document
from penstock_common.contract.knowledge_calls import ChangeDocumentRequest, PutDocumentRequest, PutDocumentResponse
from penstock_common.errors import DeadlineExceeded, InvalidRequest, PenstockError, ResourceChanged, ResourceState
from penstock_gateway.domain.access.policy import policy_of
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.jobs.executing import Arriving, Attempt
from penstock_gateway.domain.jobs.orders import IngestOrder
from penstock_gateway.domain.jobs.results import AnyResult, IngestResult
from penstock_gateway.domain.knowledge.administration import KnowledgeAdministration

PUT_DOCUMENT = "/penstock.gateway.v1.KnowledgeService/PutDocument"
_FIRST_LOOK, _LAST_LOOK = timedelta(milliseconds=200), timedelta(seconds=2)
_CANCELLING_SECONDS = 5.0


class IngestExecution:
    """Implements ``Execution``: a document, by its id and content the same at each attempt, as its administration has it."""

    def __init__(
        self, arriving: Arriving, knowledge: KnowledgeAdministration, first_look: timedelta = _FIRST_LOOK
    ) -> None:
        self._arriving = arriving
        self._knowledge = knowledge
        self._first_look = first_look.total_seconds()

    async def run(self, attempt: Attempt) -> AnyResult:
        """Return the document once it can be found; see the port."""
        order, job = attempt.order, attempt.job
        assert isinstance(order, IngestOrder), "a job whose kind is not its order's"
        caller = await self._arriving.caller(attempt, policy_of(PUT_DOCUMENT))
        actor = Actor.of(caller, "", order.request_id)
        try:
            async with asyncio.timeout(self._arriving.time_left(job, of_all=True).total_seconds()):
                return await self._taken_in(attempt, actor, order.request)
        except TimeoutError:
            raise DeadlineExceeded("The job's deadline passed before the document could be found.") from None

    async def _taken_in(self, attempt: Attempt, actor: Actor, request: PutDocumentRequest) -> IngestResult:
        put = await self._put(actor, request, is_first=attempt.job.epoch == 1)
        attempt.report.progressed(0, 1)
        try:
            ready = await self._ready(actor, request, put.document)
        except asyncio.CancelledError:
            if attempt.is_cancelled():
                await self._cancel(actor, request, put.document)
            raise
        attempt.report.progressed(1, 1)
        return IngestResult(ready, put.unchanged)

    async def _put(self, actor: Actor, request: PutDocumentRequest, *, is_first: bool) -> PutDocumentResponse:
        """Put the document, if an attempt before has not."""
        try:
            return await self._knowledge.put_document(actor, request)
        except ResourceChanged:
            if is_first:
                raise
            # It has the version that an attempt before has given it, or another's.
            found = await self._knowledge.get_document(actor, request.tenant, request.base, request.id)
            if found.content_hash != hashlib.sha256(request.content).hexdigest():
                raise
            return PutDocumentResponse(found)

    async def _ready(self, actor: Actor, request: PutDocumentRequest, document: Document) -> Document:
        """Return the document once it is taken in.

        Raises:
            InvalidRequest: if it cannot be.
            ResourceState: if somebody has ended that.
        """
        pause = self._first_look
        while document.state == "pending":
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_LOOK.total_seconds())
            document = await self._knowledge.get_document(actor, request.tenant, request.base, document.id)
        if document.state == "failed":
            failure = document.failure
            place = f" ({failure.place})" if failure is not None and failure.place else ""
            why = failure.message if failure is not None else "nobody knows why."
            raise InvalidRequest(f"The document could not be taken in{place}: {why}", field="content")
        if document.state == "cancelled":
            raise ResourceState("Somebody has ended the taking in.", kind="document", name=document.id)
        return document

    async def _cancel(self, actor: Actor, request: PutDocumentRequest, document: Document) -> None:
        """End the taking in, so that nothing of it is found."""
        ending = ChangeDocumentRequest(tenant=request.tenant, base=request.base, id=document.id, cancel=True)
        with suppress(PenstockError, TimeoutError):
            async with asyncio.timeout(_CANCELLING_SECONDS):
                await self._knowledge.change_document(actor, ending)
