"""What a request asks, which can be written down, and what is alive while it is served.

An order says who asks for what and for how long: a job keeps one, and the same
life is run on it later. A call is an order with what cannot be kept.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Generic, TypeVar

import msgspec

from penstock_common.contract.embedding import EmbedRequest
from penstock_common.contract.questions import ModeratedContent
from penstock_common.contract.relay import RelayRequestHead
from penstock_common.contract.router import Policy
from penstock_common.llm.types import GenerationInput, RequestContext
from penstock_common.priority import Priority
from penstock_common.telemetry.steps import Steps
from penstock_common.telemetry.trace_context import TraceContext
from penstock_gateway.domain.access.asker import Asker
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.knowledge_use.use import KnowledgeUse
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.prompts.content import PromptReference

MAX_CACHE_AGE = timedelta(seconds=999_999_999)
"""No entry lives as long; what a surface reads may be no larger."""
MAX_CACHE_TAGS, MAX_CACHE_TAG_BYTES = 16, 128
"""Of one request."""


class CacheControl(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How the cache takes part; the words of HTTP's Cache-Control, and some of ours.

    ``exact``: an equal request's answer alone will do. What is kept serves this
    user alone where ``private``, lives for at most ``ttl`` and can be deleted by its ``tags``.
    """

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age: timedelta | None = None
    exact: bool = False
    private: bool = False
    ttl: timedelta | None = None
    tags: tuple[str, ...] = ()

    @property
    def may_look_up(self) -> bool:
        """Whether a kept answer will do."""
        return not (self.no_store or self.no_cache)


DEFAULT_CACHE_CONTROL = CacheControl()


class Order(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What every request says of itself.

    ``request_id`` may be the caller's own; ``generation_id`` is ours, unique,
    and what the bill is kept under. ``timeout`` is what the caller grants.
    Where a ``job`` asks, it is that one's ``attempt``, from 1 on; ``asker`` is kept of a caller who had no key of ours.
    """

    request_id: str
    generation_id: str
    surface: str
    tenant: str
    key_id: str
    timeout: timedelta
    context: RequestContext = RequestContext()
    priority: Priority = Priority.DEFAULT
    job: str = ""
    attempt: int = 0
    asker: Asker | None = None


class ChatOrder(Order, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Asks for an answer. ``whole``: the caller does not stream, and is told the answer once all of it is there.

    ``may_recover``: should it break off after some of it was sent, another attempt may make it whole. ``may_degrade``:
    where the model's candidates have all failed, what its ladder has will do. ``may_hedge``: should its first token be
    late, another may be asked beside who was. ``prompt`` says what stands before the input; from the moment on
    at which it is found, with its version. ``compress``: whether its context is made shorter; None: as its model has it.
    ``policy``: by what candidates are put in order, where the model leaves that open. ``knowledge``: what is searched
    before it is answered, and how; None: as its model has it.
    """

    input: GenerationInput
    whole: bool = False
    may_recover: bool = True
    may_degrade: bool = True
    may_hedge: bool = True
    compress: bool | None = None
    policy: Policy | None = None
    cache_control: CacheControl = DEFAULT_CACHE_CONTROL
    prompt: PromptReference | None = None
    knowledge: KnowledgeUse | None = None


class EmbeddingOrder(Order, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Asks for vectors."""

    input: EmbedRequest


class RerankInput(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Documents, and the query that they may answer; ``top_n`` None: all are wanted, ``max_tokens_per_document`` 0: read whole."""

    model: str
    query: str
    documents: tuple[str, ...]
    top_n: int | None = None
    max_tokens_per_document: int = 0


class RerankOrder(Order, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Asks how well documents answer a query."""

    input: RerankInput


class ModerationInput(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Contents, each of which is judged by itself."""

    model: str
    contents: tuple[ModeratedContent, ...]


class ModerationOrder(Order, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Asks what is objectionable about contents."""

    input: ModerationInput


class RawInput(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A request that passes to an upstream as it is. ``model`` names the upstream, as keys and limits do models."""

    model: str
    head: RelayRequestHead


class RawOrder(Order, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Has a request passed on."""

    input: RawInput


QuestionOrder = RerankOrder | ModerationOrder
AnyOrder = ChatOrder | EmbeddingOrder | QuestionOrder | RawOrder
OrderT_co = TypeVar("OrderT_co", bound=AnyOrder, covariant=True)


class Call(msgspec.Struct, Generic[OrderT_co], frozen=True, gc=False):
    """An order of an authenticated caller who was let in, under way since ``started_ns`` (wall clock)."""

    order: OrderT_co
    caller: Caller
    place: Place
    trace: TraceContext
    steps: Steps
    started_ns: int
