"""JobService: convert, accept or look, convert."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from penstock.gateway.v1 import job_service_pb2 as pb
from penstock_common.contract.knowledge_calls import PutDocumentRequest
from penstock_common.errors import InvalidRequest, ScopeMissing
from penstock_common.rpc.fields import read
from penstock_common.rpc.method import Handler
from penstock_common.rpc.sending import begun
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.access.identity import Caller, KeyScope
from penstock_gateway.domain.idempotency.keys import KEY_HEADER
from penstock_gateway.domain.jobs.desk import JobDesk
from penstock_gateway.domain.jobs.gate import Gate
from penstock_gateway.domain.jobs.job import JobKind
from penstock_gateway.domain.jobs.orders import AnyOrder, IngestOrder
from penstock_gateway.domain.jobs.pausing import PauseDesk
from penstock_gateway.domain.jobs.submission import Submission, Submitter
from penstock_gateway.surfaces.arrival import CallOptions, Reception, replay_headers
from penstock_gateway.surfaces.grpc.arrival import admitted, place_of
from penstock_gateway.surfaces.grpc.chat_messages import asked_from as chat_asked_from
from penstock_gateway.surfaces.grpc.deferred import RepeatedCalls
from penstock_gateway.surfaces.grpc.embedding_messages import asked_from as embedding_asked_from
from penstock_gateway.surfaces.grpc.job_desk import JobDeskServicer, ViewerOf
from penstock_gateway.surfaces.grpc.job_messages import job_message, terms_from
from penstock_gateway.surfaces.grpc.methods import handlers_of


class JobServicerParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the servicer stands on. ``attempt_timeout`` is of one attempt at an answer."""

    reception: Reception
    submitter: Submitter
    gate: Gate
    repeated: RepeatedCalls
    attempt_timeout: timedelta


class JobServicer(JobDeskServicer):
    """Serves jobs; calls come authorised or not at all."""

    def __init__(self, desk: JobDesk, pauses: PauseDesk, viewer_of: ViewerOf, parts: JobServicerParts) -> None:
        super().__init__(desk, pauses, viewer_of)
        self._parts = parts

    def handlers(self) -> list[Handler]:
        """Return what this serves, and what the desk does."""
        return handlers_of(pb.DESCRIPTOR.services_by_name["JobService"], self)

    async def SubmitJob(self, request: pb.SubmitJobRequest, call: ServerCall) -> pb.SubmitJobResponse:
        """Return the accepted job."""
        parts, caller = self._parts, admitted(call).caller
        submission = self._submission(request, call)
        most = parts.submitter.deadline_of(submission.terms)
        await parts.gate.check(caller, submission.order, most)
        arrival, head = admitted(call).arrival, ()
        if KEY_HEADER in arrival.headers:
            accepted = await parts.repeated.submitted(caller, submission, call, _said(request))
            head = () if accepted.is_new else replay_headers(accepted.job.request_id)
        else:
            (accepted,) = await parts.submitter.submit(caller, submission)
        await begun(call.context, (("x-request-id", arrival.request_id), *head))
        return pb.SubmitJobResponse(job=job_message(accepted.job))

    def _submission(self, request: pb.SubmitJobRequest, call: ServerCall) -> Submission:
        kind = request.WhichOneof("request")
        if kind is None:
            raise InvalidRequest("One of chat, embedding and ingest must say what is asked.", field="request")
        makers = {"chat": self._chat, "embedding": self._embedding, "ingest": self._ingest}
        made = makers[kind](request, call)
        terms = terms_from(request.options)
        if terms.priority is None and kind == "chat" and request.chat.priority:
            terms = msgspec.structs.replace(terms, priority=made.order.priority)
        traceparent = admitted(call).arrival.trace.traceparent
        return msgspec.structs.replace(made, terms=terms, traceparent=traceparent)

    def _chat(self, request: pb.SubmitJobRequest, call: ServerCall) -> Submission:
        _require(admitted(call).caller, KeyScope.INFERENCE)
        asked = chat_asked_from(request.chat)
        options = CallOptions(
            stream=True,
            timeout=self._parts.attempt_timeout,
            cache_control=asked.cache_control,
            may_degrade=asked.may_degrade,
            may_hedge=asked.may_hedge,
            compress=asked.compress,
            priority=asked.priority,
            prompt=asked.prompt,
            policy=asked.policy,
            knowledge=asked.knowledge,
        )
        admission = admitted(call)
        made = self._parts.reception.chat_call(
            admission.arrival, place_of(admission), asked.input, asked.context, options
        )
        return Submission(kind=JobKind.CHAT, target=asked.input.model, order=made.order)

    def _embedding(self, request: pb.SubmitJobRequest, call: ServerCall) -> Submission:
        _require(admitted(call).caller, KeyScope.INFERENCE)
        asked, admission = embedding_asked_from(request.embedding), admitted(call)
        options = CallOptions(stream=False, timeout=self._parts.attempt_timeout)
        made = self._parts.reception.embedding_call(
            admission.arrival, place_of(admission), asked.input, asked.context, options
        )
        return Submission(kind=JobKind.EMBEDDING, target=asked.input.model, order=made.order)

    def _ingest(self, request: pb.SubmitJobRequest, call: ServerCall) -> Submission:
        admission = admitted(call)
        caller, arrival = admission.caller, admission.arrival
        _require(caller, KeyScope.ADMIN)
        wanted = read(request.ingest, PutDocumentRequest)
        if wanted.tenant not in ("", caller.tenant.name):
            text = f"The API key administers the tenant '{caller.tenant.name}' only."
            raise ScopeMissing(text, scope=KeyScope.OPERATOR)
        order: AnyOrder = IngestOrder(
            request_id=arrival.request_id,
            generation_id=self._parts.reception.new_request_id(),
            surface=arrival.surface,
            tenant=caller.tenant.name,
            key_id=caller.key_id,
            timeout=self._parts.attempt_timeout,
            request=msgspec.structs.replace(wanted, tenant=caller.tenant.name),
        )
        return Submission(kind=JobKind.INGEST, target=wanted.base, order=order)


def _said(request: pb.SubmitJobRequest) -> bytes:
    """Return a request so that equal ones are the same bytes."""
    return request.SerializeToString(deterministic=True)


def _require(caller: Caller, scope: KeyScope) -> None:
    if scope not in caller.scopes:
        raise ScopeMissing(f"The API key lacks the scope '{scope}', which this kind of job asks for.", scope=scope)
