"""What comes of a job, as bytes: under the version of its form, for readers of this version and the next."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence

import msgspec

from penstock_common.contract.embedding import EmbedResponse, TextVector
from penstock_common.contract.knowledge import Document
from penstock_common.llm.events import Answer, merge_deltas
from penstock_common.llm.types import Finished, GenerationEvent, Started, UnitPrices, Usage
from penstock_gateway.domain.jobs.job import JobKind
from penstock_gateway.domain.jobs.orders import UnknownForm
from penstock_gateway.domain.knowledge_use.told import KnowledgeTold
from penstock_gateway.domain.life.cache_outcome import NOT_ASKED, CacheOutcome
from penstock_gateway.domain.life.chat import ChatExchange
from penstock_gateway.domain.life.embeddings import EmbeddingExchange

FORM = 1
"""Of what is written now."""


class ChatResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer, and what is told of it beside it: all that a surface needs to give it as if it had just been asked.

    ``prompt``, ``experiment``, ``route``, ``searched`` and ``compressed`` are as the headers have them, empty where there is
    nothing to say; ``age_seconds`` is a stale answer's.
    """

    generation_id: str
    events: Sequence[GenerationEvent]
    """In the contract's order, neighbouring deltas made one."""
    cache: CacheOutcome = NOT_ASKED
    knowledge: KnowledgeTold | None = None
    prompt: str = ""
    experiment: str = ""
    route: str = ""
    searched: str = ""
    compressed: str = ""
    age_seconds: int | None = None

    @property
    def answer(self) -> Answer:
        """The sum of the events."""
        answer = Answer()
        answer.extend(tuple(self.events))
        return answer

    @property
    def started(self) -> Started | None:
        """Who answered."""
        return next((event for event in self.events if isinstance(event, Started)), None)

    @property
    def finished(self) -> Finished | None:
        """How it ended."""
        last = self.events[-1] if self.events else None
        return last if isinstance(last, Finished) else None

    @property
    def usage(self) -> Usage | None:
        """What it used."""
        return next((event for event in reversed(self.events) if isinstance(event, Usage)), None)


class EmbeddingResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Vectors, each as the bytes of its 32-bit floats in little-endian order, and what they were made by and cost."""

    vectors: Sequence[tuple[bytes, bool]]
    """With each, whether only its input's head was read."""
    model: str
    revision: str
    upstream: str
    input_tokens: int
    unit_prices: UnitPrices = UnitPrices()
    attempts: int = 0
    cost_nano_usd: int = 0
    generation_id: str = ""

    @property
    def embedded(self) -> EmbedResponse:
        """The vectors as the service gives them."""
        vectors = [TextVector(_floats(values), truncated) for values, truncated in self.vectors]
        return EmbedResponse(
            vectors,
            self.model,
            self.revision,
            self.upstream,
            self.input_tokens,
            self.unit_prices,
            self.attempts,
            self.cost_nano_usd,
        )


class IngestResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The document as it was once it could be found; ``unchanged`` where it was there already."""

    document: Document
    unchanged: bool = False


class BatchResult(msgspec.Struct, frozen=True):
    """Nothing that the batch does not say itself."""


AnyResult = ChatResult | EmbeddingResult | IngestResult | BatchResult

_KINDS: dict[JobKind, type[AnyResult]] = {
    JobKind.CHAT: ChatResult,
    JobKind.EMBEDDING: EmbeddingResult,
    JobKind.INGEST: IngestResult,
    JobKind.BATCH: BatchResult,
}
_ENCODER = msgspec.msgpack.Encoder()
_DECODERS = {kind: msgspec.msgpack.Decoder(form) for kind, form in _KINDS.items()}


def result_bytes(result: AnyResult) -> bytes:
    """Return a result as it is kept."""
    return bytes((FORM,)) + _ENCODER.encode(result)


def result_of(kind: JobKind, content: bytes) -> AnyResult:
    """Return the result that was kept.

    Raises:
        UnknownForm: if it is of a form that this version does not know.
    """
    if content[:1] != bytes((FORM,)):
        raise UnknownForm
    return _DECODERS[kind].decode(content[1:])


def chat_result(exchange: ChatExchange, events: Sequence[GenerationEvent]) -> ChatResult:
    """Return what came of an exchange that has ended well with these events."""
    order, grounds = exchange.call.order, exchange.grounds
    return ChatResult(
        generation_id=order.generation_id,
        events=merge_deltas(events),
        cache=exchange.cache_outcome,
        knowledge=exchange.knowledge,
        prompt=order.prompt.shown if order.prompt is not None and order.prompt.is_found else "",
        experiment=str(exchange.assigned.part) if exchange.assigned is not None else "",
        route=str(exchange.decision) if exchange.decision is not None else "",
        searched=str(grounds.retrieved) if grounds is not None else "",
        compressed=str(exchange.compressed) if exchange.compressed is not None else "",
        age_seconds=exchange.age_seconds,
    )


def embedding_result(exchange: EmbeddingExchange, embedded: EmbedResponse) -> EmbeddingResult:
    """Return what came of an exchange that has made these vectors."""
    return EmbeddingResult(
        vectors=[(_bytes(vector.values), vector.truncated) for vector in embedded.vectors],
        model=embedded.model,
        revision=embedded.revision,
        upstream=embedded.upstream,
        input_tokens=embedded.input_tokens,
        unit_prices=embedded.unit_prices,
        attempts=embedded.attempts,
        cost_nano_usd=exchange.bill.cost_nano_usd,
        generation_id=exchange.call.order.generation_id,
    )


def _bytes(values: array[float]) -> bytes:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _floats(content: bytes) -> array[float]:
    values = array("f", content)
    if sys.byteorder == "big":
        values.byteswap()
    return values
