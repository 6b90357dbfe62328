"""Whatever is configured, asked, known and preferred: no plan goes where it must not, and none is refused that could be made.

``make plans`` tries 100,000 configurations, the suite a few.
"""

import asyncio
import os
import random

import msgspec

from penstock_common.contract.router import Policy, Requirements, RouteRequest, Subject
from penstock_common.errors import ContextLengthExceeded, ModelNotPermitted, UnsupportedParameter
from penstock_common.llm.types import Candidate, UnitPrices
from penstock_common.upstreams.state import Condition, UpstreamState
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel
from penstock_router.domain.choosing import Chooser
from penstock_router.domain.classification.reading import Reading
from penstock_router.domain.figures import PolicyRules, Wants, Weights
from penstock_router.domain.forks import LEVELS, Fork, Rule
from penstock_router.domain.preference import PreferenceRules
from penstock_router.domain.routing import Router

CONFIGURATIONS = int(os.environ.get("PENSTOCK_PLANS", "500"))
REQUESTS_EACH = 3
ABILITIES = ("tools", "vision", "json_schema")
REGIONS = ("eu", "us", "")
TASKS = ("faq", "code", "general")
WINDOWS = (100, 1000, 10_000)
TENANTS = ("t", "u")
AWKWARD = (0.0, 1e-300, 1e300, 0.5, 1.0)
ONE_UPSTREAM_OR_MORE = 5


class Sees:
    """A reader that sees anything."""

    def __init__(self, chance):
        self.chance = chance

    def classify(self, subject, vector, *, has_tools, has_images):
        abstains = self.chance.random() < 0.2
        return Reading(self.chance.choice(TASKS), self.chance.choice(LEVELS), 0.5, 0.5, abstains, False, "")


class World:
    """A configuration with what is known of its upstreams."""

    def __init__(self, chance):
        self.chance = chance
        self.entries = [self._entry(at) for at in range(chance.randint(1, ONE_UPSTREAM_OR_MORE))]
        names = [f"model{at}" for at in range(chance.randint(1, 3))]
        self.models = {name: self._model(name) for name in names}
        rules = PolicyRules(
            chance.random(), chance.choice((1e-9, 20.0)), {"default": chance.choice((1, 400))}, self._weights(),
            {"t": Wants(self._policy(), chance.choice((None, self._weights())))} if chance.random() < 0.5 else {},
        )  # fmt: skip
        explores = PreferenceRules(explore_ratio=chance.choice((0.0, 0.5, 1.0)))
        self.router = Router(Catalogue(list(self.models.values())), chance, explores, rules)
        self.fork = self._fork(names)
        self.chooser = Chooser({"auto": self.fork}, Sees(chance), None)
        self.out = self.really_out = set()

    def _entry(self, at):
        chance = self.chance
        able = frozenset({"chat", *(one for one in ABILITIES if chance.random() < 0.6)})
        prices = UnitPrices(is_unknown=chance.random() < 0.3, input_nano_usd=chance.choice((0, 1, 10**12)))
        quality = {chance.choice((*TASKS, "default")): chance.random()} if chance.random() < 0.5 else {}
        return UpstreamModel(
            Candidate(upstream=f"u{at}", model="m"), chance.choice(REGIONS), chance.choice(WINDOWS), able, prices,
            provider=chance.choice(("openai", "vllm")), quality=quality,
            price_steps=((50, UnitPrices(input_nano_usd=5)),) if chance.random() < 0.2 else (),
        )  # fmt: skip

    def _model(self, name):
        candidates = tuple(self.chance.sample(self.entries, self.chance.randint(1, len(self.entries))))
        policy = self._policy()
        weights = {} if policy or self.chance.random() < 0.5 else {candidates[0].candidate: 1}
        return PublicModel(name, candidates, weights, b"", policy=policy, is_led_to=self.chance.random() < 0.8)

    def _policy(self):
        return self.chance.choice((None, *Policy))

    def _weights(self):
        return Weights(*self.chance.choice(((1, 1, 1), (0, 0, 1), (1e-300, 0, 0), (5, 0, 1e6))))

    def _fork(self, names):
        pick = self.chance.choice
        by_level = {level: pick(names) for level in LEVELS if self.chance.random() < 0.5}
        routes = {pick(TASKS): by_level or pick(names), pick((*TASKS, "default")): pick(names)}
        rules = [Rule(pick(names), tenants=frozenset({pick(TENANTS)}), levels=frozenset({pick(LEVELS)}))]
        return Fork("auto", tuple(rules if self.chance.random() < 0.5 else ()), routes, self._policy())

    def hear(self):
        chance, states = self.chance, {}
        for entry in self.entries:
            if chance.random() < 0.7:
                condition, latency = chance.choice(list(Condition)), chance.choice((None, *AWKWARD))
                states[entry.candidate] = UpstreamState(
                    candidate=entry.candidate, condition=condition, latency_seconds=latency,
                    measured_seconds=chance.choice((None, 1.0, 1e6)),
                )  # fmt: skip
        # Who cools down can be asked, and is not what others are left out for.
        self.out = {name for name, one in states.items() if one.condition.is_out or one.condition is Condition.COOLING}
        self.really_out = {name for name, one in states.items() if one.condition.is_out}
        self.router.hear(states)
        self.router.hear_quality(
            {
                (entry.candidate, chance.choice(TASKS)): (chance.random(), chance.choice(AWKWARD))
                for entry in self.entries
            }
        )

    def request(self):
        chance = self.chance
        needs = frozenset({"chat", *(one for one in ABILITIES if chance.random() < 0.15)})
        regions = tuple(one for one in ("eu", "us") if chance.random() < 0.3)
        models = chance.choice((None, tuple(chance.sample(sorted(self.models), chance.randint(0, len(self.models))))))
        return RouteRequest(
            "auto" if chance.random() < 0.6 else chance.choice(sorted(self.models)),
            Requirements(needs, chance.choice((0, 10, 500, 5000, 50_000))), regions, Subject("What?"),
            chance.choice(("nobody", *TENANTS)), allowed_models=models, output_tokens=chance.choice((0, 0, 7)),
            policy=self._policy(),
        )  # fmt: skip


def fits(entry, request):
    needs = request.requirements
    return (
        needs.capabilities <= entry.capabilities
        and needs.min_input_tokens <= entry.context_window_tokens
        and (not request.allowed_regions or entry.region in request.allowed_regions)
    )


def permitted(world, request):
    """The models that may take the request in its own name."""
    if request.model != "auto":
        return [world.models[request.model]]
    allowed = request.allowed_models
    return [world.models[name] for name in world.fork.targets if allowed is None or name in allowed]


async def check(world, request):
    models = permitted(world, request)
    able = [entry for model in models for entry in model.candidates if fits(entry, request)]
    try:
        is_fork = request.model == "auto"
        plan = await world.chooser.plan(request, world.router) if is_fork else world.router.plan(request)
    except (UnsupportedParameter, ContextLengthExceeded, ModelNotPermitted):
        assert not able
        return 0
    chosen = world.models[plan.decision.model if plan.decision else request.model]
    assert chosen in models
    behind = {entry.candidate: entry for entry in chosen.candidates}
    entries = [behind[name] for name in plan.candidates]
    assert entries
    assert len(set(plan.candidates)) == len(entries)
    assert all(fits(entry, request) for entry in entries)
    assert [entry.prices for entry in entries] == list(plan.prices)
    well = [name for name, entry in behind.items() if fits(entry, request) and name not in world.out]
    assert not well or plan.candidates[0] in well or plan.candidates[0] not in world.really_out
    assert set(well) <= set(plan.candidates)
    assert not any(word in plan.reason for word in ("nan", "inf ", "inf,", "inf)"))
    return 1


async def checked(seed):
    world = World(random.Random(seed))
    made = 0
    for _ in range(2):
        world.hear()
        # One after the other at the same word, so that plans are remembered, and asked for again with other regions.
        requests = [world.request() for _ in range(REQUESTS_EACH)]
        anywhere = [msgspec.structs.replace(one, allowed_regions=()) for one in requests]
        for request in (*requests, *anywhere, *requests):
            made += await check(world, request)
    return made


def test_no_plan_goes_where_it_must_not_and_none_is_refused_that_could_be_made():
    async def all_of_them():
        made = 0
        for seed in range(CONFIGURATIONS):
            try:
                made += await checked(seed)
            except Exception as error:
                error.add_note(f"seed {seed}")
                raise
        return made

    # Neither are all refused, which would prove nothing.
    assert asyncio.run(all_of_them()) > CONFIGURATIONS * REQUESTS_EACH
