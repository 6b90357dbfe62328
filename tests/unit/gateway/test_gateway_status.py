"""What counts as a problem of a gateway."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from penstock_common.contract.inference import ModelState, PlaceCondition, RunnableModel, UpstreamPlace
from penstock_common.errors import ServiceUnavailable
from penstock_common.llm.types import Candidate
from penstock_gateway.domain.life.door import Capacity, Door
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.domain.status.report import ConfigurationRevision, StatusReporter
from penstock_gateway.domain.status.traffic import TrafficWindow

REVISION = ConfigurationRevision("0123456789ab", datetime(2026, 1, 1, tzinfo=UTC))


class Upstreams:
    """Lists what a test says, or fails."""

    def __init__(self, *models, places=(), error=None):
        self._models, self._places, self._error = models, places, error

    async def models(self):
        return list(await self._told(self._models))

    async def places(self):
        return await self._told(self._places)

    async def _told(self, what):
        if self._error is not None:
            raise self._error
        return what


def model_of(upstream, name, state, reason=""):
    return RunnableModel(candidate=Candidate(upstream=upstream, model=name), state=state, state_reason=reason)


async def yes():
    return True


async def no():
    return False


async def status(upstreams, **checks):
    reporter = StatusReporter(Door(Capacity(), Refusals(600)), TrafficWindow(), upstreams, checks, lambda: REVISION)
    return await reporter.report()


async def problems(upstreams, **checks):
    return list((await status(upstreams, **checks)).problems)


async def test_gateway_whose_parts_answer_has_no_problem():
    ready = model_of("a", "m", ModelState.READY)
    assert await problems(Upstreams(ready, model_of("b", "m", ModelState.UNTOLD)), Redis=yes) == []


async def test_part_that_does_not_answer_is_named():
    assert await problems(Upstreams(), Redis=no, Database=yes) == ["Redis does not answer."]


async def test_inference_that_does_not_answer_is_a_problem():
    error = ServiceUnavailable("away", service="inference")
    assert await problems(Upstreams(error=error)) == ["The inference service does not answer."]


@pytest.mark.parametrize(("reason", "told"), [("", "."), ("out of memory", ": out of memory")])
async def test_model_that_does_not_answer_is_named_with_its_upstreams_reason(reason, told):
    model = model_of("local", "demo", ModelState.UNAVAILABLE, reason)
    assert await problems(Upstreams(model)) == [f"The model local/demo does not answer{told}"]


async def test_upstreams_that_are_not_well_are_told_and_no_problem_while_one_is_left():
    well, slow, out, by_hand = [
        UpstreamPlace(upstream="u", model=state.name, state=state)
        for state in (PlaceCondition.OK, PlaceCondition.SLOW, PlaceCondition.EJECTED, PlaceCondition.BY_HAND)
    ]
    told = await status(Upstreams(places=(slow, well, out)))
    assert list(told.unwell) == [slow, out]
    assert list(told.problems) == []
    assert await problems(Upstreams(places=(out, by_hand))) == ["Every upstream is left out."]
