"""What was heard outlives the router that heard it."""

import random

from penstock_common.contract.router import Requirements, RouteRequest
from penstock_common.llm.types import Candidate
from penstock_common.upstreams.state import Condition, UpstreamState
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel
from penstock_router.domain.choosing import Chooser
from penstock_router.domain.forks import Fork
from penstock_router.domain.routing import Router
from penstock_router.domain.sight import DriftRules, Sight, Way
from penstock_router.surfaces.servicer import RouterServicer

A, B = (Candidate(upstream=name, model="m") for name in "ab")
NO_FORKS = Chooser({}, None, None)


def made():
    entries = tuple(UpstreamModel(name, "", 100, frozenset({"chat"})) for name in (A, B))
    return Router(Catalogue([PublicModel("fast", entries)]), random.Random(1))


def test_a_router_that_takes_over_has_heard_what_the_earlier_one_heard():
    servicer, request = (
        RouterServicer(made(), NO_FORKS, Sight(DriftRules(), float)),
        RouteRequest(model="fast", requirements=Requirements()),
    )
    servicer.hear({A: UpstreamState(candidate=A, condition=Condition.EJECTED, since_seconds=1.0)})
    later = made()
    assert later.plan(request).candidates == (A, B)
    servicer.take_over(later, NO_FORKS)
    assert later.plan(request).candidates == (B,)
    servicer.hear({})
    assert later.plan(request).candidates == (A, B)


async def test_what_is_decided_is_counted_and_what_is_explained_or_has_no_routes_is_not():
    sight, chooser = Sight(DriftRules(), float), Chooser({"auto": Fork("auto", (), {"default": "fast"})}, None, None)
    servicer, call = RouterServicer(made(), chooser, sight), Call()
    asked = [RouteRequest(model=name, requirements=Requirements(), tenant="acme") for name in ("auto", "fast")]
    for request in asked:
        await servicer.explain(request, call)
        assert not sight.decisions or request.model == "fast"
        await servicer.route(request, call)
    assert sight.decisions == {Way("auto", "fast", "routes.default", "", ""): 1}


class Call:
    """Whose steps nobody wants."""

    def __init__(self):
        self.steps = self

    def lap(self, name, began_ns, attributes):
        pass
