"""Which revision a request runs on, how long earlier ones are kept, and by whom."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from penstock_common.llm.types import Candidate, Plan
from penstock_inference.domain.catalogue import Catalogue, Model
from penstock_inference.domain.generation import GenerationParts
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.relay import Relays
from penstock_inference.domain.revisions import Revision, Revisions
from penstock_inference.domain.upstream_batches import UpstreamBatches
from penstock_inference.domain.upstream_control import UpstreamControl
from penstock_inference.surfaces.grpc.servicer import InferenceServicer

DAY = timedelta(days=1)
AT_ONCE = timedelta()


class SlowModels:
    """Models whose administration answers when a test lets it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_end = asyncio.Event()

    async def list(self) -> list[Any]:
        await self._answer()
        return []

    async def load(self, candidate: Candidate) -> Candidate:
        await self._answer()
        return candidate

    unload = load

    async def _answer(self) -> None:
        self.asked.set()
        await self.may_end.wait()


def revision(*names: str, models: Any = None) -> Revision:
    catalogue = Catalogue(Model(Candidate(upstream=name, model="m")) for name in names)
    parts = GenerationParts({}, catalogue)
    return Revision(catalogue, parts, models or SlowModels(), Relays({}, {}), UpstreamBatches(catalogue, parts))


def plan(*names: str) -> Plan:
    return Plan(candidates=tuple(Candidate(upstream=name, model="m") for name in names))


async def turns() -> None:
    """Let the loop do what is due."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_plan_runs_on_the_newest_revision_that_knows_all_of_it() -> None:
    first, second, third = revision("a", "b"), revision("a", "c"), revision("c")
    revisions = Revisions(first)
    revisions.take_over(second, DAY)
    revisions.take_over(third, DAY)
    assert list(revisions.earlier) == [second, first]
    for asked, answering in ((("c",), third), (("a",), second), (("a", "b"), first), (("b", "c"), third)):
        assert revisions.of(plan(*asked)) is answering, asked


async def test_an_earlier_revision_is_kept_for_as_long_as_was_said_when_it_was_replaced() -> None:
    first, second, third = revision("a"), revision("b"), revision("c")
    revisions = Revisions(first)
    revisions.take_over(second, DAY)
    revisions.take_over(third, AT_ONCE)
    await turns()
    assert list(revisions.earlier) == [first]
    assert revisions.of(plan("a")) is first


CALLS: dict[str, Callable[[InferenceServicer], Any]] = {
    "list": lambda servicer: servicer.list_models(None, None),  # type: ignore[arg-type]
    "load": lambda servicer: servicer.load_model(Candidate(upstream="a", model="m"), None),  # type: ignore[arg-type]
    "unload": lambda servicer: servicer.unload_model(Candidate(upstream="a", model="m"), None),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_call_about_models_keeps_the_upstreams_that_it_asks_open(
    call: Callable[[InferenceServicer], Any],
) -> None:
    models = SlowModels()
    revisions = Revisions(revision("a", models=models))
    held = weakref.ref(revisions.newest.catalogue)
    calling = asyncio.create_task(call(InferenceServicer(revisions, UpstreamControl(Health(), list))))
    await models.asked.wait()
    revisions.take_over(revision("b"), AT_ONCE)
    await turns()
    assert held() is not None
    models.may_end.set()
    await calling
    assert held() is None
