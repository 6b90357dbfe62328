"""What counts as a problem of a gateway."""

from __future__ import annotations

import pytest

from penstock_common.errors import ServiceUnavailable
from penstock_gateway.domain.life.admission import Door
from penstock_gateway.domain.status.report import ModelState, StatusReporter, UpstreamModel
from penstock_gateway.domain.status.traffic import TrafficWindow


class Upstreams:
    """Lists what a test says, or fails."""

    def __init__(self, *models, error=None):
        self._models, self._error = models, error

    async def models(self):
        if self._error is not None:
            raise self._error
        return list(self._models)


async def yes():
    return True


async def no():
    return False


async def problems(upstreams, **checks):
    reporter = StatusReporter(Door(10), TrafficWindow(), upstreams, checks)
    return list((await reporter.report()).problems)


async def test_gateway_whose_parts_answer_has_no_problem():
    ready = UpstreamModel("a", "m", ModelState.READY)
    assert await problems(Upstreams(ready, UpstreamModel("b", "m", ModelState.UNTOLD)), Redis=yes) == []


async def test_part_that_does_not_answer_is_named():
    assert await problems(Upstreams(), Redis=no, Database=yes) == ["Redis does not answer."]


async def test_inference_that_does_not_answer_is_a_problem():
    error = ServiceUnavailable("away", service="inference")
    assert await problems(Upstreams(error=error)) == ["The inference service does not answer."]


@pytest.mark.parametrize(("reason", "told"), [("", "."), ("out of memory", ": out of memory")])
async def test_model_that_does_not_answer_is_named_with_its_upstreams_reason(reason, told):
    model = UpstreamModel("local", "demo", ModelState.UNAVAILABLE, reason)
    assert await problems(Upstreams(model)) == [f"The model local/demo does not answer{told}"]
