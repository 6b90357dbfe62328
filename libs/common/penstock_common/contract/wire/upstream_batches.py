"""``penstock.inference.v1.UpstreamBatchService`` on the wire."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.inference.v1 import upstream_batch_service_pb2 as pb
from penstock_common.contract.upstream_batches import (
    BegunUpstreamBatch,
    KeptAnswer,
    UpstreamBatch,
    UpstreamBatchAnswer,
    UpstreamBatchLine,
    UpstreamBatchOrder,
    UpstreamBatchPlace,
    UpstreamBatchState,
)
from penstock_common.llm.convert import candidate_from_proto, candidate_to_proto, input_from_proto, input_to_proto
from penstock_common.llm.convert.plan import unsupported_from_proto, unsupported_to_proto
from penstock_common.rpc.method import StreamMethod, UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec

_SERVICE = "/penstock.inference.v1.UpstreamBatchService/"
_STATE_TO: dict[UpstreamBatchState, Any] = {
    UpstreamBatchState.OPEN: pb.UPSTREAM_BATCH_STATE_OPEN,
    UpstreamBatchState.ENDED: pb.UPSTREAM_BATCH_STATE_ENDED,
    UpstreamBatchState.REFUSED: pb.UPSTREAM_BATCH_STATE_REFUSED,
}
_STATE_FROM = {number: state for state, number in _STATE_TO.items()}


def kept_to(value: KeptAnswer) -> pb.KeptAnswer:
    """Return an answer as it stands in a message."""
    return pb.KeptAnswer(status=value.status, body=value.body)


def kept_from(message: pb.KeptAnswer) -> KeptAnswer:
    """Return the answer of a message."""
    return KeptAnswer(message.status, message.body)


def _order_to(value: UpstreamBatchOrder) -> pb.BeginUpstreamBatchRequest:
    since = None
    if value.maybe_begun_since is not None:
        since = Timestamp()
        since.FromDatetime(value.maybe_begun_since)
    return pb.BeginUpstreamBatchRequest(
        candidate=candidate_to_proto(value.candidate),
        name=value.name,
        lines=[pb.UpstreamBatchLine(id=line.id, input=input_to_proto(line.input)) for line in value.lines],
        maybe_begun_since=since,
        unsupported=unsupported_to_proto(value.unsupported),
    )


def _order_from(message: pb.BeginUpstreamBatchRequest) -> UpstreamBatchOrder:
    is_second = message.HasField("maybe_begun_since")
    return UpstreamBatchOrder(
        candidate=candidate_from_proto(message.candidate),
        name=message.name,
        lines=tuple([UpstreamBatchLine(line.id, input_from_proto(line.input)) for line in message.lines]),
        maybe_begun_since=message.maybe_begun_since.ToDatetime(UTC) if is_second else None,
        unsupported=unsupported_from_proto(message.unsupported),
    )


def _batch_to(value: UpstreamBatch) -> pb.UpstreamBatch:
    return pb.UpstreamBatch(
        id=value.id,
        state=_STATE_TO[value.state],
        answered=value.answered,
        failed=value.failed,
        reason=value.reason,
    )


def _batch_from(message: pb.UpstreamBatch) -> UpstreamBatch:
    # One of a later version's states is looked at again.
    state = _STATE_FROM.get(message.state, UpstreamBatchState.OPEN)
    return UpstreamBatch(message.id, state, message.answered, message.failed, message.reason)


BEGIN_UPSTREAM_BATCH = UnaryMethod[UpstreamBatchOrder, BegunUpstreamBatch](
    f"{_SERVICE}BeginUpstreamBatch",
    ProtobufCodec(pb.BeginUpstreamBatchRequest, _order_to, _order_from),
    ProtobufCodec(
        pb.BeginUpstreamBatchResponse,
        lambda begun: pb.BeginUpstreamBatchResponse(
            batch=None if begun.batch is None else _batch_to(begun.batch), refused_lines=begun.refused_lines
        ),
        lambda message: BegunUpstreamBatch(
            _batch_from(message.batch) if message.HasField("batch") else None, tuple(message.refused_lines)
        ),
    ),
)
GET_UPSTREAM_BATCH = UnaryMethod[UpstreamBatchPlace, UpstreamBatch](
    f"{_SERVICE}GetUpstreamBatch",
    ProtobufCodec(
        pb.GetUpstreamBatchRequest,
        lambda place: pb.GetUpstreamBatchRequest(candidate=candidate_to_proto(place.candidate), id=place.id),
        lambda message: UpstreamBatchPlace(candidate_from_proto(message.candidate), message.id),
    ),
    ProtobufCodec(
        pb.GetUpstreamBatchResponse,
        lambda batch: pb.GetUpstreamBatchResponse(batch=_batch_to(batch)),
        lambda message: _batch_from(message.batch),
    ),
)
CANCEL_UPSTREAM_BATCH = UnaryMethod[UpstreamBatchPlace, UpstreamBatch](
    f"{_SERVICE}CancelUpstreamBatch",
    ProtobufCodec(
        pb.CancelUpstreamBatchRequest,
        lambda place: pb.CancelUpstreamBatchRequest(candidate=candidate_to_proto(place.candidate), id=place.id),
        lambda message: UpstreamBatchPlace(candidate_from_proto(message.candidate), message.id),
    ),
    ProtobufCodec(
        pb.CancelUpstreamBatchResponse,
        lambda batch: pb.CancelUpstreamBatchResponse(batch=_batch_to(batch)),
        lambda message: _batch_from(message.batch),
    ),
)
READ_UPSTREAM_BATCH = StreamMethod[UpstreamBatchPlace, tuple[UpstreamBatchAnswer, ...]](
    f"{_SERVICE}ReadUpstreamBatch",
    ProtobufCodec(
        pb.ReadUpstreamBatchRequest,
        lambda place: pb.ReadUpstreamBatchRequest(candidate=candidate_to_proto(place.candidate), id=place.id),
        lambda message: UpstreamBatchPlace(candidate_from_proto(message.candidate), message.id),
    ),
    ProtobufCodec(
        pb.ReadUpstreamBatchResponse,
        lambda answers: pb.ReadUpstreamBatchResponse(
            answers=[pb.UpstreamBatchAnswer(line=one.line, kept=kept_to(one.kept)) for one in answers]
        ),
        lambda message: tuple([UpstreamBatchAnswer(one.line, kept_from(one.kept)) for one in message.answers]),
    ),
)
