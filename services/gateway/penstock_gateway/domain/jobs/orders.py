"""What a job asks, as bytes: an order, under the version of its form, for workers of this version and the next."""

from __future__ import annotations

import msgspec

from penstock_common.contract.knowledge_calls import PutDocumentRequest
from penstock_gateway.domain.jobs.job import JobKind
from penstock_gateway.domain.life.order import ChatOrder, EmbeddingOrder, Order

FORM = 1
"""Of what is written now."""


class UnknownForm(Exception):
    """A later version of Penstock wrote it."""


class IngestOrder(Order, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Asks that a document is taken into a knowledge base."""

    request: PutDocumentRequest


class BatchOrder(Order, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Asks that a batch is carried on: by its id."""

    batch: str


AnyOrder = ChatOrder | EmbeddingOrder | IngestOrder | BatchOrder

_KINDS: dict[JobKind, type[AnyOrder]] = {
    JobKind.CHAT: ChatOrder,
    JobKind.EMBEDDING: EmbeddingOrder,
    JobKind.INGEST: IngestOrder,
    JobKind.BATCH: BatchOrder,
}
_ENCODER = msgspec.msgpack.Encoder()
_DECODERS = {kind: msgspec.msgpack.Decoder(form) for kind, form in _KINDS.items()}


def order_bytes(order: AnyOrder) -> bytes:
    """Return an order as it is kept."""
    return bytes((FORM,)) + _ENCODER.encode(order)


def order_of(kind: JobKind, content: bytes) -> AnyOrder:
    """Return the order that was kept.

    Raises:
        UnknownForm: if it is of a form that this version does not know.
    """
    if content[:1] != bytes((FORM,)):
        raise UnknownForm
    return _DECODERS[kind].decode(content[1:])
