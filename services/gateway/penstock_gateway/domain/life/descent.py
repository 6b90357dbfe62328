"""The way down a model's ladder, of one request whose model cannot answer."""

from __future__ import annotations

import time
from typing import NamedTuple

import msgspec

from penstock_common.contract.cache import LookupRequest, Probe, Scope
from penstock_common.contract.router import RouteRequest, requirements_of
from penstock_common.errors import ContentRefused, DeadlineExceeded, PenstockError
from penstock_common.llm.types import Degradation, GenerationInput, Plan
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_common.telemetry.steps import Step, Steps
from penstock_gateway.domain.life.forks import Forks
from penstock_gateway.domain.life.ladder import (
    Asked,
    Ladder,
    Rung,
    SmallerModel,
    StaleAnswer,
    asks_no_model,
    is_an_upstreams,
)
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.life.ports import AnswerCache, Generator, Router
from penstock_gateway.domain.life.progress import Bill, owed_by, waited_ns
from penstock_gateway.domain.life.sources import AnswerSource, Degraded, Generation, Replay, request_of, text_alone
from penstock_gateway.domain.life.spending import Afford, Afforded


class Fallbacks(NamedTuple):
    """Who is asked on the way down."""

    router: Router
    generator: Generator
    cache: AnswerCache
    forks: Forks
    afford: Afford | None = None
    """None where no budget binds the request."""


class Stranded(NamedTuple):
    """A request that its model cannot answer, as far as it had come: without a plan where it could not be routed."""

    call: Call[ChatOrder]
    effective: GenerationInput
    scope: Scope
    probe: Probe | None = None
    plan: Plan | None = None


class Taken(NamedTuple):
    """A step that gives an answer; ``age_seconds`` of a kept one."""

    source: AnswerSource
    degradation: Degradation
    age_seconds: int | None = None


class Descent:
    """Takes the ladder's steps in their order, each once, while there is time.

    ``cause`` is what ended the model's own answer, which the caller is told
    where no step gives one.
    """

    def __init__(self, ladder: Ladder, stranded: Stranded, fallbacks: Fallbacks, cause: PenstockError) -> None:
        self.cause: PenstockError | None = cause
        self._failed: list[Step] = []
        self._left = list(ladder.rungs)
        self._ladder = ladder
        self._is_late = isinstance(cause, DeadlineExceeded)
        self._stranded = stranded
        self._fallbacks = fallbacks
        self._why = type(cause).__name__

    def note_failed(self, generation: Step | None) -> Bill:
        """Take in a generation that has failed; return what all of them are owed."""
        if generation is not None:
            self._failed.append(generation)
        return self.owed()

    def owed(self) -> Bill:
        """Return what the generations are owed that have failed; the end of the answer below does not tell it."""
        return owed_by(self.attempts(), self._stranded.effective)

    def attempts(self) -> list[Step]:
        """Return the attempts made so far, but for those of a step that is under way."""
        return [attempt for generation in self._failed for attempt in generation.children]

    def waited_ns(self) -> int:
        """Return the nanoseconds that generations took which have failed."""
        return sum(waited_ns(generation.children or (generation,)) for generation in self._failed)

    async def next(self, steps: Steps) -> Taken | None:
        """Return the next step that the request can take; None where there is none, or no time. Each is recorded."""
        while self._left and _is_time_left():
            rung = self._left.pop(0)
            step = steps.next(f"degrade.{rung.kind.value}")
            taken = await self._try(rung, step)
            reason = taken if isinstance(taken, str) else ""
            step.attributes = {"cause": self._why, "result": "skipped" if reason else "taken", "reason": reason}
            if not isinstance(taken, str):
                return taken
        return None

    async def _try(self, rung: Rung, step: Step) -> Taken | str:
        """Return the step's answer, or why it has none."""
        stranded = self._stranded
        if why_not := rung.objection(Asked(stranded.effective, stranded.call.order.cache_control)):
            return why_not
        if isinstance(rung, SmallerModel):
            found = await self._ask_smaller(rung, step)
        elif isinstance(rung, StaleAnswer):
            return await self._look_for_stale(rung, step)
        else:
            found = text_alone(rung.text_for(stranded.plan))
        return found if isinstance(found, str) else self._taken(found, rung.kind)

    async def _ask_smaller(self, rung: SmallerModel, step: Step) -> AnswerSource | str:
        call = self._stranded.call
        if not call.caller.may_use(rung.model):
            return f"the key may not use the model '{rung.model}'"
        if self._is_late:
            return "the time that is left is too short for a model"
        request = msgspec.structs.replace(self._stranded.effective, model=rung.model)
        route = RouteRequest(
            model=rung.model, requirements=requirements_of(request), allowed_regions=call.caller.tenant.regions
        )
        if rung.model in self._fallbacks.forks.names:
            route = self._fallbacks.forks.told(route, request, call.caller, call.order.context, call.order.policy)
        afford = self._fallbacks.afford
        try:
            plan = await self._fallbacks.router.route(route, step.children)
            asked, meter = Afforded(request_of(call.order, request, plan), None)
            if afford is not None:
                asked, meter = await afford(asked, rung.model)
        except DeadlineExceeded:
            raise
        except PenstockError as error:
            return error.message
        below = self._ladder if any(map(asks_no_model, self._left)) else None
        return Generation(self._fallbacks.generator, asked, below, meter)

    async def _look_for_stale(self, rung: StaleAnswer, step: Step) -> Taken | str:
        stranded = self._stranded
        if stranded.probe is None:
            return "it was not routed, and answers are kept by their route"
        request = LookupRequest(
            scope=stranded.scope,
            probe=stranded.probe,
            max_age=stranded.call.order.cache_control.max_age,
            stale_for=rung.stale_for,
        )
        found = await self._fallbacks.cache.look_up(request, step.children)
        if found.hit is None:
            return found.bypass_reason or "no answer is kept"
        age_seconds = max(0, int(time.time() - found.hit.created_at))
        return self._taken(Replay(found.hit), rung.kind, age_seconds)

    def _taken(self, source: AnswerSource, kind: Degradation, age_seconds: int | None = None) -> Taken:
        made = sum(attempt.attributes.get("asked") is not False for attempt in self.attempts())
        return Taken(Degraded(source, kind, made), kind, age_seconds)


def goes_on(error: PenstockError, *, is_down: bool, has_quick_steps: bool = False) -> bool:
    """Return whether the ladder is to be gone down after this error; ``is_down``: it is a step's.

    A step that could not take the request after all is left for the next; what
    refuses the content is the end. So is the end of the time that a model had, but for steps that ask none.
    """
    if isinstance(error, DeadlineExceeded) and has_quick_steps:
        return True
    if is_down:
        return not isinstance(error, ContentRefused | DeadlineExceeded)
    return is_an_upstreams(error)


def _is_time_left() -> bool:
    deadline = CURRENT_SCOPE.get().deadline
    return deadline is None or time.monotonic() < deadline
