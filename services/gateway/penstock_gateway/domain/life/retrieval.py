"""The step that looks for passages of knowledge bases, and puts them before the question.

They stand in the last user's turn, so that all turns before it stay as the caller wrote them. What was found is part of
the request's identity wherever answers are kept or shared; matched by meaning is the question alone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from penstock_common.contract.knowledge import Hit, SearchResult
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_common.errors import (
    ContextLengthExceeded,
    DeadlineExceeded,
    ModelNotFound,
    NothingRelevant,
    Overloaded,
    ServiceUnavailable,
    UnsupportedParameter,
)
from penstock_common.llm.estimate import estimated_input_tokens
from penstock_common.llm.types import Candidate, GenerationEvent, GenerationInput, TextDelta
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.knowledge_use.passages import Passage, all_of, context_of, passages_within, with_context
from penstock_gateway.domain.knowledge_use.ports import PassageSearch
from penstock_gateway.domain.knowledge_use.query import query_of
from penstock_gateway.domain.knowledge_use.relevance import relevant
from penstock_gateway.domain.knowledge_use.signals import RetrievalSignals, signals_of_chat
from penstock_gateway.domain.knowledge_use.told import KnowledgeTold, Retrieved
from penstock_gateway.domain.knowledge_use.use import NOT_SAID, KnowledgeUse, joined
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.life.ports import Router
from penstock_gateway.domain.life.progress import Progress
from penstock_gateway.domain.life.sources import AnswerSource, text_alone

# Of a model's window, where the request does not say how long the answer may be.
_ANSWER_SHARE, _MOST_ANSWER_TOKENS = 4, 1024
# Tokens are estimated, and the estimate may be short.
_ROOM_SHARE = 0.8
EXTRACTIVE = "extractive"
RETRIEVED = "knowledge"
"""The upstream that is told of answers that no model has written: quotes, and that nothing was found."""


GuardHits = Callable[[Sequence[Hit]], Awaitable[Sequence[Hit]]]
"""Returns hits as the model may see them, or raises what refuses the request."""


class Grounds(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer rests on.

    ``effective`` is the input with the passages in it, ``asked`` the one without. ``digest`` is part of the identity of the
    request. ``given`` is the answer where no model is asked.
    """

    asked: GenerationInput
    effective: GenerationInput
    retrieved: Retrieved
    digest: bytes
    given: AnswerSource | None = None

    def signals(self, progress: Progress) -> RetrievalSignals:
        """Return what there is to count of an answer."""
        return signals_of_chat(self.retrieved, self.told(progress.events), is_whole=progress.finished is not None)

    def told(self, events: Sequence[GenerationEvent]) -> KnowledgeTold:
        """Return what there is to tell of an answer."""
        texts: dict[int, list[str]] = {0: []}
        for event in events:
            if isinstance(event, TextDelta):
                texts.setdefault(event.choice, []).append(event.text)
        return self.retrieved.told({choice: "".join(pieces) for choice, pieces in texts.items()})


class Retrieval:
    """Retrieves for requests that name knowledge bases, and for those of ``models``; a reload exchanges these at once."""

    name = "retrieve"

    def __init__(
        self, models: Mapping[str, KnowledgeUse], search: PassageSearch | None = None, router: Router | None = None
    ) -> None:
        """Without ``search`` there are no knowledge bases; without ``router`` nobody knows how much a model reads."""
        self.models = models
        """What holds for public models that have knowledge bases."""
        self._search = search
        self._router = router

    def take_over(self, models: Mapping[str, KnowledgeUse]) -> None:
        """Let requests that begin from now on have these."""
        self.models = models

    def bases_of(self, order: ChatOrder) -> tuple[str, ...]:
        """Return which knowledge bases are searched for a request."""
        return tuple(joined(order.knowledge or NOT_SAID, self.models.get(order.input.model, NOT_SAID)).bases)

    async def grounds(
        self,
        request: GenerationInput,
        call: Call[ChatOrder],
        note: Callable[[SearchResult], None] | None = None,
        guard: GuardHits | None = None,
    ) -> Grounds:
        """Return what the answer to ``request`` is to rest on; it is recorded as a step.

        ``note`` hears of the search, before what was found is looked at; ``guard`` says what of that the model may see.

        Raises:
            ModelNotFound: if no model of the name would be asked, and there is none.
            InvalidRequest: if what is asked of knowledge bases cannot be.
            NothingRelevant: if that is how the request wants it, and nothing was found.
            ContextLengthExceeded: if the model has no room for a single passage.
            PenstockError: why nobody could search, where no answer is wanted without.
        """
        order = call.order
        if self._search is None:
            raise UnsupportedParameter("Knowledge bases are not kept here.", parameter="knowledge")
        step = call.steps.next(self.name)
        use = joined(order.knowledge or NOT_SAID, self.models.get(order.input.model, NOT_SAID))
        retrieved = await self._retrieved(use, request, call, step)
        if note is not None:
            note(retrieved.result)
        if guard is not None and retrieved.passages:
            result = msgspec.structs.replace(retrieved.result, hits=await guard(retrieved.result.hits))
            retrieved = msgspec.structs.replace(retrieved, passages=all_of(result.hits), result=result)
        step.attributes = {
            "bases": ",".join(use.bases),
            "outcome": retrieved.outcome,
            "hits": len(retrieved.result.hits),
        }
        if retrieved.outcome == "found" and use.cite == "numbers":
            retrieved = msgspec.structs.replace(retrieved, passages=await self._fitting(use, retrieved, request))
        call.steps.stop()
        grounds = _grounds_of(use, retrieved, request, labels_of(call))
        if grounds.given is not None and request.model not in self.models:
            await self._check(request.model)
        return grounds

    async def _check(self, model: str) -> None:
        """Raise ModelNotFound where no model has the name: who routes is not asked for an answer that asks no model."""
        if self._router is not None and all(one.name != model for one in await self._router.models()):
            raise ModelNotFound(f"The model '{model}' does not exist.", model=model)

    async def _retrieved(
        self, use: KnowledgeUse, request: GenerationInput, call: Call[ChatOrder], step: Step
    ) -> Retrieved:
        query = query_of(request.messages)
        if not query:
            return Retrieved(outcome="nothing", bases=use.bases, query="")
        asked = SearchRequest(
            tenant=call.order.tenant, bases=use.bases, query=query, labels=labels_of(call), options=use.options
        )
        try:
            result = await self._search_for(asked, step)
        except (ServiceUnavailable, Overloaded):
            if use.when_unavailable == "fail":
                raise
            return Retrieved(outcome="unavailable", bases=use.bases, query=query)
        irrelevant = 0
        if use.judges_relevance:
            hits = relevant(result)
            irrelevant = len(result.hits) - len(hits)
            result = msgspec.structs.replace(result, hits=hits)
        return Retrieved(
            outcome="found" if result.hits else "nothing",
            bases=use.bases,
            query=query,
            passages=all_of(result.hits),
            result=result,
            irrelevant=irrelevant,
        )

    async def _search_for(self, asked: SearchRequest, step: Step) -> SearchResult:
        assert self._search is not None, "who has knowledge bases has who searches them"
        try:
            return (await self._search.search(asked, step.children)).result
        except DeadlineExceeded as error:
            deadline = CURRENT_SCOPE.get().deadline
            if deadline is not None and time.monotonic() >= deadline:
                raise
            raise ServiceUnavailable("The search of documents is late. Try again.", service="embedding") from error

    async def _fitting(self, use: KnowledgeUse, retrieved: Retrieved, request: GenerationInput) -> tuple[Passage, ...]:
        window = await self._window_of(request.model)
        needed = estimated_input_tokens(request)
        room = use.max_context_tokens
        if window:
            answer = request.sampling.max_output_tokens or min(_MOST_ANSWER_TOKENS, window // _ANSWER_SHARE)
            room = min(room, int((window - answer - needed) * _ROOM_SHARE))
        fitting = passages_within(retrieved.result.hits, room)
        if not fitting:
            raise ContextLengthExceeded(
                f"There is no room for a passage beside the conversation: {max(0, room)} tokens are left for passages. "
                "Shorten the conversation, raise knowledge.max_context_tokens, or ask a model with a larger window.",
                input_tokens=needed,
                max_input_tokens=window,
            )
        return fitting

    async def _window_of(self, model: str) -> int:
        """Return the largest window of a public model's candidates, in tokens; 0 where nobody knows."""
        if self._router is None:
            return 0
        windows = (one.context_window_tokens for one in await self._router.models() if one.name == model)
        return next(windows, 0)


NO_RETRIEVAL = Retrieval({})


def labels_of(call: Call[ChatOrder]) -> tuple[str, ...]:
    """Return the access labels of the caller's key."""
    return tuple(sorted(call.caller.labels))


def _grounds_of(use: KnowledgeUse, retrieved: Retrieved, request: GenerationInput, labels: tuple[str, ...]) -> Grounds:
    """Return the grounds that a search gives, by the policies of ``use``."""
    context, given, effective = "", None, request
    if retrieved.outcome == "nothing":
        if use.when_nothing == "refuse":
            raise NothingRelevant(f"Nothing relevant was found in {', '.join(use.bases)}.")
        if use.when_nothing == "say_so" or use.cite == EXTRACTIVE:
            given = text_alone(use.nothing_text, Candidate(upstream=RETRIEVED, model=request.model))
    elif retrieved.outcome == "found" and use.cite == EXTRACTIVE:
        # Few requests want quotes, and what reads sentences is large.
        from penstock_gateway.domain.knowledge_use.extract import extract_of

        extract = extract_of(retrieved.passages, retrieved.query)
        retrieved = msgspec.structs.replace(retrieved, cited=extract.cited)
        given = text_alone(extract.text, Candidate(upstream=RETRIEVED, model=request.model))
    elif retrieved.outcome == "found":
        context = context_of(retrieved.passages)
        effective = with_context(request, context)
    searched = [(one.knowledge_base, one.version, one.model_revision) for one in retrieved.result.searched]
    identity = msgspec.msgpack.encode((retrieved.outcome, use.bases, context, searched, labels))
    return Grounds(
        asked=request,
        effective=effective,
        retrieved=retrieved,
        digest=hashlib.sha256(identity).digest(),
        given=given,
    )
