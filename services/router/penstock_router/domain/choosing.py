"""Choosing a public model for a request that leaves it to the router."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import msgspec

from penstock_common.contract.router import RouteRequest, Subject
from penstock_common.errors import (
    ContextLengthExceeded,
    ModelNotPermitted,
    PenstockError,
    ServiceUnavailable,
    UnsupportedParameter,
)
from penstock_common.llm.types import Decision, Plan, UnitPrices
from penstock_router.domain.baseline import best_prices
from penstock_router.domain.classification.reading import Reading
from penstock_router.domain.forks import Chosen, Fork, Seen
from penstock_router.domain.routing import Router

_CANNOT = (UnsupportedParameter, ContextLengthExceeded, ModelNotPermitted)
# Its name is nothing to tell the caller, who may ask for the reason.
_FORBIDDEN = "a model that the key may not use"


def _now() -> datetime:
    return datetime.now(UTC)


class Reader(Protocol):
    """Sees what a prompt asks for."""

    def classify(
        self, subject: Subject, vector: Sequence[float] | None, *, has_tools: bool, has_images: bool
    ) -> Reading:
        """Return the task and the complexity of a prompt, as far as it tells them."""
        ...


class LanguageReader(Protocol):
    """Sees which language a text is in."""

    def language_of(self, text: str) -> str:
        """Return its ISO 639-1 code; empty where the text does not tell."""
        ...


class Shadowed(NamedTuple):
    """Where a request for a fork went by what was seen of it, and where it would have gone by what the shadow saw.

    A task is empty where it was too unsure. Models are the first that the caller may use, able to take the request or not.
    """

    fork: str
    task: str
    model: str
    shadow_task: str
    shadow_model: str

    @property
    def moves(self) -> bool:
        """Whether the shadow would have chosen another model."""
        return self.shadow_model != self.model


class Embedding(Protocol):
    """Makes vectors of texts."""

    async def vector_of(self, text: str) -> Sequence[float] | None:
        """Return the unit vector of a text; None where it cannot be had in time."""
        ...


class Chooser:
    """Sends the requests for forks their way."""

    def __init__(
        self,
        forks: Mapping[str, Fork],
        reader: Reader | None,
        embedding: Embedding | None,
        shadow: Reader | None = None,
        *,
        languages: LanguageReader | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        """``shadow`` reads what ``reader`` reads, and decides nothing; ``now`` is what rules by time go by."""
        self.forks = forks
        """By name; a request for any other name is not its matter."""
        self._readers = () if reader is None else (reader,) if shadow is None else (reader, shadow)
        self._embedding = embedding
        self._languages = languages
        self._now = now

    async def plan(
        self, request: RouteRequest, router: Router, compared: Callable[[Shadowed], None] | None = None
    ) -> Plan:
        """Return the plan of the first model on the request's way that can take it, with the decision.

        ``compared`` is told what the shadow would have done, where there is one.

        Raises:
            ServiceUnavailable: the gateway has not said who asks.
            ModelNotPermitted: the caller may use none of the fork's models.
            PenstockError: why the first choice that the caller may use cannot take the request, where none can.
        """
        fork = self.forks[request.model]
        if not request.tenant:
            # Nor has it said which models its caller may use: it runs on another configuration.
            raise ServiceUnavailable(f"The gateway does not know yet that '{fork.name}' has routes.", service="gateway")
        policy = router.wanted(request) or fork.policy
        if policy is not request.policy:
            request = msgspec.structs.replace(request, policy=policy)
        readings = await self._read(request) if fork.needs_reading else ()
        reading = readings[0] if readings else None
        seen = _seen(reading)._replace(language=self._language(fork, request), at=self._now())
        passed_over: list[str] = []
        first: PenstockError | None = None
        for chosen in fork.ways(request, seen):
            if request.allowed_models is not None and chosen.model not in request.allowed_models:
                passed_over.append(_FORBIDDEN)
                continue
            try:
                plan = router.plan(msgspec.structs.replace(request, model=chosen.model), seen.task)
            except _CANNOT as error:
                passed_over.append(f"{chosen.model} ({error.message})")
                first = first or error
            else:
                decision = _decision(chosen, reading, passed_over)
                plan = _decided(fork, plan, decision, _best_prices(fork, request, router, seen.task), chosen.because)
                return _beside_the_shadow(plan, fork, request, (seen, readings), compared)
        try:
            raise first or _nobody_permitted(fork)
        finally:
            # It knows this frame, and would live on with the request.
            del first

    def _language(self, fork: Fork, request: RouteRequest) -> str:
        subject = request.subject
        if subject is None or self._languages is None or not fork.needs_language:
            return ""
        return self._languages.language_of(subject.text) or self._languages.language_of(subject.earlier)

    async def _read(self, request: RouteRequest) -> Sequence[Reading]:
        """Return what each reader sees, the shadow last; nothing where there is nobody to look, or nothing to look at."""
        subject = request.subject
        if subject is None or not self._readers or not subject.text:
            return ()
        vector = None if self._embedding is None else await self._embedding.vector_of(subject.text)
        able = request.requirements.capabilities
        has_tools, has_images = "tools" in able, "vision" in able
        return [
            reader.classify(subject, vector, has_tools=has_tools, has_images=has_images) for reader in self._readers
        ]


def _seen(reading: Reading | None) -> Seen:
    return Seen() if reading is None or reading.abstains else Seen(reading.task, reading.complexity)


def _beside_the_shadow(
    plan: Plan,
    fork: Fork,
    request: RouteRequest,
    read: tuple[Seen, Sequence[Reading]],
    compared: Callable[[Shadowed], None] | None,
) -> Plan:
    """Tell what the shadow would have done, if there is one; return the plan with a word of it in its reason."""
    here, readings = read
    if not readings[1:]:
        return plan
    shadow = readings[1]
    allowed = request.allowed_models

    def first(seen: Seen) -> str:
        ways = (chosen.model for chosen in fork.ways(request, seen))
        return next(model for model in ways if allowed is None or model in allowed)

    there = _seen(shadow)._replace(language=here.language, at=here.at)
    shadowed = Shadowed(fork.name, here.task, first(here), there.task, first(there))
    if compared is not None:
        compared(shadowed)
    sure = "too unsure" if shadow.abstains else f"{shadow.task} at {shadow.task_confidence:.2f}, {shadow.complexity}"
    word = f"{plan.reason}; the shadow {shadow.version} would choose {shadowed.shadow_model} ({sure})"
    return msgspec.structs.replace(plan, reason=word)


def _decision(chosen: Chosen, reading: Reading | None, passed_over: Sequence[str]) -> Decision:
    if reading is None:
        return Decision(chosen.model, chosen.by, passed_over=tuple(passed_over))
    return Decision(
        chosen.model,
        chosen.by,
        task=reading.task,
        complexity=reading.complexity,
        task_confidence=reading.task_confidence,
        complexity_confidence=reading.complexity_confidence,
        abstains=reading.abstains,
        by_vector=reading.by_vector,
        classifier=reading.version,
        passed_over=tuple(passed_over),
    )


def _best_prices(fork: Fork, request: RouteRequest, router: Router, task: str) -> UnitPrices | None:
    allowed = request.allowed_models
    models = [name for name in fork.targets if allowed is None or name in allowed]
    able = [router.first_able(msgspec.structs.replace(request, model=name)) for name in models]
    input_tokens = request.requirements.likely_input_tokens
    return best_prices([entry for entry in able if entry is not None], task, input_tokens)


def _decided(fork: Fork, plan: Plan, decision: Decision, best: UnitPrices | None, because: str) -> Plan:
    preferred = plan.decision
    decision = msgspec.structs.replace(
        decision,
        policy="" if preferred is None else preferred.policy,
        figure="" if preferred is None else preferred.figure,
        best_prices=best,
    )
    why = f" ({because})" if because else ""
    reason = f"{fork.name}: {decision.model} by {decision.by}{why}{_seen_in_words(decision)}"
    if decision.passed_over:
        reason += f", passed over {', '.join(decision.passed_over)}"
    return msgspec.structs.replace(plan, decision=decision, reason=f"{reason}; {plan.reason}")


def _seen_in_words(decision: Decision) -> str:
    if not decision.task:
        return ""
    sure = f"{decision.task} at {decision.task_confidence:.2f}, {decision.complexity} at {decision.complexity_confidence:.2f}"
    basis = "" if decision.by_vector else ", by its words alone"
    return f" (too unsure: {sure}{basis})" if decision.abstains else f" ({sure}{basis})"


def _nobody_permitted(fork: Fork) -> ModelNotPermitted:
    return ModelNotPermitted(f"The model '{fork.name}' leads to none that your key may use.", model=fork.name)
