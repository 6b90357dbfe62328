"""How this gateway is: what it carries, and which of its parts answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from penstock_common.contract.inference import ModelState, PlaceCondition, RunnableModel, UpstreamPlace
from penstock_common.errors import PenstockError
from penstock_gateway.domain.life.door import Door
from penstock_gateway.domain.status.traffic import TrafficSummary, TrafficWindow

_PATIENCE = timedelta(seconds=3)
AnswerT = TypeVar("AnswerT")
_OUT = frozenset({PlaceCondition.EJECTED, PlaceCondition.PROBING, PlaceCondition.BY_HAND})


class Upstreams(Protocol):
    """Knows the upstreams' models, and how the places are that serve them."""

    async def models(self) -> Sequence[RunnableModel]:
        """Return every model of every upstream, or raise the domain error that says why not."""
        ...

    async def places(self) -> Sequence[UpstreamPlace]:
        """Return every model at every endpoint, or raise the domain error that says why not."""
        ...


@dataclass(frozen=True, slots=True)
class ConfigurationRevision:
    """Which revision of the configuration runs, and since when."""

    name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The status of one process; healthy without problems, a sentence each."""

    problems: Sequence[str]
    requests_in_flight: int
    traffic: TrafficSummary
    models: Sequence[RunnableModel]
    unwell: Sequence[UpstreamPlace]
    """The places that are not ok."""
    revision: ConfigurationRevision


class StatusReporter:
    """Reports the status of this process. ``checks`` ask the parts beside the upstreams, by name.

    ``revision`` returns that of the configuration, which changes while the process runs.
    """

    def __init__(
        self,
        door: Door,
        traffic: TrafficWindow,
        upstreams: Upstreams,
        checks: Mapping[str, Callable[[], Awaitable[bool]]],
        revision: Callable[[], ConfigurationRevision],
    ) -> None:
        self._door = door
        self._traffic = traffic
        self._upstreams = upstreams
        self._checks = checks
        self._revision = revision

    async def report(self) -> GatewayStatus:
        """Return the status; a part that is silent is a problem, and takes no longer than three seconds."""
        problems = ["This gateway is shutting down."] if self._door.is_leaving else []
        async with asyncio.TaskGroup() as asking:
            listing = asking.create_task(_answer_in_time(self._upstreams.models()))
            looking = asking.create_task(_answer_in_time(self._upstreams.places()))
            checks = {name: asking.create_task(_in_time(check)) for name, check in self._checks.items()}
        problems += [f"{name} does not answer." for name, check in checks.items() if not check.result()]
        models = listing.result()
        if models is None:
            problems.append("The inference service does not answer.")
        for model in models or ():
            if model.state is ModelState.UNAVAILABLE:
                why = f": {model.state_reason}" if model.state_reason else "."
                problems.append(f"The model {model.candidate} does not answer{why}")
        places = looking.result() or ()
        if places and all(place.state in _OUT for place in places):
            problems.append("Every upstream is left out.")
        unwell = [place for place in places if place.state is not PlaceCondition.OK]
        return GatewayStatus(
            problems, self._door.in_flight, self._traffic.summary(), models or (), unwell, self._revision()
        )


async def _answer_in_time(question: Awaitable[Sequence[AnswerT]]) -> Sequence[AnswerT] | None:
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            return await question
    except (PenstockError, TimeoutError):
        return None


async def _in_time(check: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            return await check()
    except TimeoutError:
        return False
