"""A probe: one short request of ours to a place that is out, slow or in doubt. It has no caller, and no tenant's content."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import NamedTuple, Protocol

import structlog

from penstock_common.contract.questions import ModeratedContent, ModeratedText, RerankRequest
from penstock_common.llm.types import Candidate, GenerationInput, Message, Plan, Role, SamplingParams, Text
from penstock_inference.domain.catalogue import Capability, Model
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.health.place import Place
from penstock_inference.domain.health.registry import Health, UpstreamHealth
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.upstream import UpstreamCall
from penstock_inference.domain.watchdog import silence

_log = structlog.get_logger(__name__)

PROBE_TEXT = "Hi"
CONNECT_SECONDS = 3.0
LEASE_SPARE_SECONDS = 5.0
"""How much longer than a probe may take it is nobody else's turn."""


class Lease(Protocol):
    """Sees to it that one replica probes a place at a time."""

    async def take(self, name: str, seconds: float) -> bool:
        """Return whether it is our turn, for so long at most; where nobody can tell, it is."""
        ...

    async def give_back(self, name: str) -> None:
        """Let others have their turn."""
        ...


class OwnLease:
    """There are no other replicas."""

    async def take(self, name: str, seconds: float) -> bool:
        """Return that it is ours."""
        return True

    async def give_back(self, name: str) -> None:
        """Do nothing."""


class Answers(Enum):
    """What a model can be asked."""

    CHATS = "chats"
    RERANKS = "reranks"
    MODERATES = "moderates"


class Probed(NamedTuple):
    """How a probe went: the seconds until its first word, and the failure, if it was one."""

    seconds: float
    failure: AttemptFailed | None


async def probe(
    endpoint: Endpoint, model: str, seconds: float, clock: Callable[[], float], answers: Answers = Answers.CHATS
) -> Probed:
    """Ask for one token; an answer that begins is a good one. Bounded by ``seconds``, and it never raises.

    Models that think may spend the token on that, and some refuse so low a bound: that is a sign of life, too. A model that
    ``answers`` no conversations is asked what it answers.
    """
    began = clock()
    failure: AttemptFailed | None = None
    try:
        async with asyncio.timeout(seconds):
            if endpoint.questions is None or answers is Answers.CHATS:
                await _chat(endpoint, model)
            elif answers is Answers.RERANKS:
                request = RerankRequest(PROBE_TEXT, (PROBE_TEXT,), Plan(()))
                await endpoint.questions.rerank(request, model, CONNECT_SECONDS)
            else:
                contents = (ModeratedContent((ModeratedText(PROBE_TEXT),)),)
                await endpoint.questions.moderate(contents, model, CONNECT_SECONDS)
    except TimeoutError:
        failure = silence("first_token")
    except AttemptFailed as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - an adapter's fault must not end the watch
        _log.error("adapter_failed", upstream=model, exc_info=error)
        failure = AttemptFailed(FailureKind.ADAPTER, "the probe failed inside the gateway")
    return Probed(clock() - began, failure)


async def _chat(endpoint: Endpoint, model: str) -> None:
    value = GenerationInput(
        model=model,
        messages=(Message(role=Role.USER, parts=(Text(text=PROBE_TEXT),)),),
        sampling=SamplingParams(max_output_tokens=1),
    )
    answer = endpoint.upstream.ask(UpstreamCall(model, value, CONNECT_SECONDS, _nothing, _nothing))
    try:
        await answer.read()
    finally:
        await answer.aclose()


def _answers_of(model: Model) -> Answers:
    if Capability.CHAT in model.capabilities:
        return Answers.CHATS
    if Capability.RERANK in model.capabilities:
        return Answers.RERANKS
    return Answers.MODERATES if Capability.MODERATION in model.capabilities else Answers.CHATS


def _nothing() -> None:
    """A probe has no timers of its own."""


class Watch:
    """Lets time pass for the health of all upstreams, and probes those that are due."""

    def __init__(self, health: Health, lease: Lease | None = None) -> None:
        self._health = health
        self._pools: dict[str, Pool] = {}
        # Of models that answer no conversations.
        self._answers: dict[Candidate, Answers] = {}
        self._lease = lease or OwnLease()

    def look_after(self, pools: Mapping[str, Pool], models: Iterable[Model]) -> None:
        """Look after the places of these models, and forget what is known of all others.

        The mapping itself is let go of: who holds it may keep upstreams open.
        """
        self._pools = dict(pools)
        kept: dict[UpstreamHealth, list[Place]] = {pool.health: [] for pool in pools.values()}
        self._answers.clear()
        for model in models:
            if (answers := _answers_of(model)) is not Answers.CHATS:
                self._answers[model.candidate] = answers
            pool = pools[model.candidate.upstream]
            kept[pool.health] += pool.places(model.candidate.model)
        self._health.look_after(kept)

    async def run(self, every_seconds: float = 0.25) -> None:
        """Never return, and never fail: whatever goes wrong is logged, and looked at again."""
        async with asyncio.TaskGroup() as probes:
            while True:
                self._look(probes)
                await asyncio.sleep(every_seconds)

    def _look(self, probes: asyncio.TaskGroup) -> None:
        try:
            self._health.tick()
            for place in self._health.due_probes():
                probes.create_task(self._probe_or_log(place))
        except Exception as error:  # noqa: BLE001 - a fault here must not end the service
            _log.error("health_watch_failed", exc_info=error)

    async def _probe_or_log(self, place: Place) -> None:
        try:
            await self.probe(place)
        except Exception as error:  # noqa: BLE001 - as above
            _log.error("health_watch_failed", place=str(place.name), exc_info=error)
            self._health.probe_put_off(place)

    async def probe(self, place: Place) -> None:
        """Probe a place that is marked as being probed, unless another replica does; note how it went."""
        health, name = self._health, str(place.name)
        seconds = health.rules.probe_timeout_seconds
        endpoint = self._endpoint_of(place)
        try:
            if endpoint is None or not await self._lease.take(name, seconds + LEASE_SPARE_SECONDS):
                health.probe_put_off(place)
                return
            try:
                asked = Candidate(place.name.upstream, place.name.model)
                answers = self._answers.get(asked, Answers.CHATS)
                probed = await probe(endpoint, asked.model, seconds, health.clock, answers)
            finally:
                await self._lease.give_back(name)
        finally:
            # Not before others can have their turn, and also where the service ends meanwhile.
            place.is_probed = False
        failure = probed.failure
        health.probe_ended(place, probed.seconds, "answered" if failure is None else failure.kind.value, failure)

    def _endpoint_of(self, place: Place) -> Endpoint | None:
        """Return where a place is; None where the configuration no longer has it."""
        pool = self._pools.get(place.name.upstream)
        if pool is None or place not in pool.places(place.name.model):
            return None
        return pool.endpoints[pool.places(place.name.model).index(place)]
