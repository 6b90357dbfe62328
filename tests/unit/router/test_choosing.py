"""A request that leaves the choice of a model to the router: which of the fork's models it goes to, and what is told."""

import random
from datetime import UTC, datetime

import msgspec
import pytest

from penstock_common.contract.router import Requirements, RouteRequest, Subject
from penstock_common.errors import ContextLengthExceeded, ModelNotFound, ModelNotPermitted, ServiceUnavailable
from penstock_common.hours import WeekHours
from penstock_common.llm.types import Candidate
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel
from penstock_router.domain.choosing import Chooser, Shadowed
from penstock_router.domain.classification.reading import Reading
from penstock_router.domain.explaining import explained
from penstock_router.domain.forks import Fork, Rule
from penstock_router.domain.routing import Router

WINDOWS = {"fast": 100, "coder": 1_000, "large": 10_000}
NOTHING = Requirements()
ROUTES = {"faq": "fast", "code": {"low": "fast", "high": "coder"}, "default": "large"}


class Says:
    """A reader that sees what the test says, and remembers what it was shown."""

    def __init__(self, task="faq", complexity="low", *, abstains=False):
        self.reading = Reading(task, complexity, 0.9, 0.8, abstains, False, "v1")
        self.shown = []

    def classify(self, subject, vector, *, has_tools, has_images):
        self.shown.append((subject.text, vector, has_tools, has_images))
        return self.reading._replace(by_vector=vector is not None)


class Vectors:
    def __init__(self, vector):
        self.vector, self.asked = vector, []

    async def vector_of(self, text):
        self.asked.append(text)
        return self.vector


def router():
    models = [
        PublicModel(name, (UpstreamModel(Candidate(upstream="u", model=name), "eu", window, frozenset({"chat"})),))
        for name, window in WINDOWS.items()
    ]
    return Router(Catalogue(models), random.Random(1))


def asked(text="What is TLS?", needs=NOTHING, **more):
    return RouteRequest(**{"model": "auto", "requirements": needs, "subject": Subject(text), "tenant": "acme", **more})


async def chosen(request, reader=None, rules=(), routes=ROUTES, embedding=None):
    fork = Fork("auto", tuple(rules), routes)
    plan = await Chooser({"auto": fork}, reader, embedding).plan(request, router())
    return plan.decision, plan


@pytest.mark.parametrize(
    ("task", "complexity", "model", "by"),
    [
        ("faq", "high", "fast", "routes.faq"),
        ("code", "low", "fast", "routes.code.low"),
        ("code", "medium", "coder", "routes.code.high"),
        ("code", "high", "coder", "routes.code.high"),
        ("general", "low", "large", "routes.default"),
    ],
)
async def test_a_task_leads_to_its_model_and_a_level_without_one_to_the_next_above(task, complexity, model, by):
    decision, plan = await chosen(asked(), Says(task, complexity))
    assert (decision.model, decision.by, decision.task, decision.complexity) == (model, by, task, complexity)
    assert [candidate.model for candidate in plan.candidates] == [model]
    assert plan.reason.startswith(f"auto: {model} by {by} ({task} at 0.90, {complexity} at 0.80, by its words alone); ")


async def test_who_is_unsure_goes_the_way_of_what_has_none_of_its_own():
    decision, plan = await chosen(asked(), Says("code", "low", abstains=True))
    assert (decision.model, decision.by, decision.abstains) == ("large", "routes.default", True)
    assert "too unsure" in plan.reason


async def test_a_level_that_only_a_smaller_model_has_takes_the_next_below():
    decision, _ = await chosen(asked(), Says("code", "high"), routes={"code": {"low": "fast", "medium": "coder"}})
    assert decision.by == "routes.code.medium"


async def test_without_a_default_the_rest_is_general_or_the_first():
    for routes, model in (({"code": "coder", "general": "fast"}, "fast"), ({"code": "coder", "faq": "fast"}, "coder")):
        decision, _ = await chosen(asked(), Says("reasoning"), routes=routes)
        assert decision.model == model


@pytest.mark.parametrize(
    ("rule", "request_"),
    [
        (Rule("coder", tenants=frozenset({"acme"})), {"tenant": "acme"}),
        (Rule("coder", tags=frozenset({("kind", "batch")})), {"tags": (("kind", "batch"), ("of", "x"))}),
        (Rule("coder", tasks=frozenset({"faq"}), levels=frozenset({"low"})), {}),
        (Rule("coder", above_tokens=19, up_to_tokens=20), {"needs": Requirements(min_input_tokens=10)}),
    ],
)
async def test_a_rule_whose_conditions_hold_comes_before_the_routes(rule, request_):
    decision, _ = await chosen(asked(**request_), Says(), rules=[Rule("large", tenants=frozenset({"none"})), rule])
    assert (decision.model, decision.by) == ("coder", "rules.2")


@pytest.mark.parametrize(
    "rule",
    [
        Rule("coder", tenants=frozenset({"acme"})),
        Rule("coder", tags=frozenset({("kind", "batch")})),
        Rule("coder", tasks=frozenset({"code"})),
        Rule("coder", levels=frozenset({"high"})),
        Rule("coder", above_tokens=20),
        Rule("coder", up_to_tokens=19),
    ],
)
async def test_a_rule_with_a_condition_that_does_not_hold_decides_nothing(rule):
    request = asked(needs=Requirements(min_input_tokens=10), tenant="other", tags=(("kind", "live"),))
    decision, _ = await chosen(request, Says(), rules=[rule])
    assert decision.by == "routes.faq"


async def test_whom_the_conversation_does_not_fit_is_passed_over_and_told_of():
    decision, plan = await chosen(asked(needs=Requirements(min_input_tokens=500)), Says("faq"))
    assert decision.model == "large"
    assert len(decision.passed_over) == 1
    assert decision.passed_over[0].startswith("fast (")
    assert "passed over fast" in plan.reason


async def test_whom_nobody_fits_is_told_why_the_first_choice_cannot():
    with pytest.raises(ContextLengthExceeded) as caught:
        await chosen(asked(needs=Requirements(min_input_tokens=50_000)), Says("faq"))
    assert caught.value.max_input_tokens == WINDOWS["fast"]


async def test_a_model_that_the_caller_may_not_use_is_passed_over():
    decision, _ = await chosen(asked(allowed_models=("auto", "coder")), Says("faq"))
    assert (decision.model, decision.by) == ("coder", "what is left")
    with pytest.raises(ModelNotPermitted, match="none that your key may use"):
        await chosen(asked(allowed_models=("auto",)), Says("faq"))


async def test_nothing_that_a_caller_is_told_names_a_model_that_its_key_may_not_use():
    decision, plan = await chosen(asked(allowed_models=("auto", "large")), Says("faq"))
    assert decision.model == "large"
    assert "fast" not in plan.reason + str(decision)
    assert "a model that the key may not use" in plan.reason
    for needs, error in ((NOTHING, ModelNotPermitted), (Requirements(min_input_tokens=50_000), ContextLengthExceeded)):
        permitted = () if needs is NOTHING else ("coder",)
        with pytest.raises(error) as caught:
            await chosen(asked(allowed_models=("auto", *permitted), needs=needs), Says("faq"))
        assert "fast" not in caught.value.message


async def test_regions_hold_for_whoever_is_chosen():
    with pytest.raises(ModelNotPermitted):
        await chosen(asked(allowed_regions=("us",)), Says("faq"))


async def test_the_reader_is_shown_the_vector_where_there_is_one():
    reader, vectors = Says(), Vectors([0.5])
    decision, _ = await chosen(asked("Why?"), reader, embedding=vectors)
    assert reader.shown == [("Why?", [0.5], False, False)]
    assert (vectors.asked, decision.by_vector) == (["Why?"], True)


@pytest.mark.parametrize("subject", [None, Subject(""), Subject("", turns=0)])
async def test_without_a_word_nobody_looks(subject):
    reader = Says("faq")
    request = RouteRequest(model="auto", requirements=NOTHING, subject=subject, tenant="acme")
    decision, _ = await chosen(request, reader)
    assert (decision.by, decision.task, reader.shown) == ("routes.default", "", [])


async def test_a_fork_whose_choices_ask_for_nothing_of_the_prompt_does_not_look():
    reader, vectors = Says("faq"), Vectors([0.5])
    rules = [Rule("coder", tenants=frozenset({"other"}))]
    decision, _ = await chosen(asked(), reader, rules=rules, routes={"default": "fast"}, embedding=vectors)
    assert (decision.by, reader.shown, vectors.asked) == ("routes.default", [], [])


async def test_an_explanation_has_every_candidate_with_what_speaks_against_it():
    fork = Fork("auto", (), ROUTES)
    chooser = Chooser({"auto": fork}, Says("faq"), None)
    found = await explained(asked(needs=Requirements(min_input_tokens=500)), router(), chooser)
    assert found.plan.decision.model == "large"
    seen = {view.model: (view.rank, view.objection) for view in found.candidates}
    assert seen == {"large": (1, ""), "fast": (0, "takes 100 tokens"), "coder": (0, "")}
    plain = await explained(RouteRequest(model="fast", requirements=NOTHING), router(), chooser)
    assert [(view.model, view.rank) for view in plain.candidates] == [("fast", 1)]


async def test_an_explanation_leaves_out_what_the_caller_may_not_use_and_says_why_there_is_no_plan():
    chooser = Chooser({"auto": Fork("auto", (), ROUTES)}, Says("faq"), None)
    request = asked(allowed_models=("auto", "fast"), allowed_regions=("us",))
    found = await explained(request, router(), chooser)
    assert found.plan is None
    assert "region" in found.refusal
    assert [view.model for view in found.candidates] == ["fast"]
    with pytest.raises(ModelNotFound):
        await explained(RouteRequest(model="nobody", requirements=NOTHING), router(), chooser)


async def test_a_gateway_that_does_not_say_who_asks_is_not_served():
    with pytest.raises(ServiceUnavailable, match="does not know yet"):
        await chosen(asked(tenant=""), Says("faq"))


@pytest.mark.parametrize(
    ("shadow", "shadowed", "told"),
    [
        (Says("code", "high"), Shadowed("auto", "faq", "fast", "code", "coder"), "choose coder (code at 0.90, high)"),
        (Says("faq"), Shadowed("auto", "faq", "fast", "faq", "fast"), "choose fast (faq at 0.90, low)"),
        (Says("code", abstains=True), Shadowed("auto", "faq", "fast", "", "large"), "choose large (too unsure)"),
        (Says("billing"), Shadowed("auto", "faq", "fast", "billing", "large"), "choose large (billing at 0.90, low)"),
    ],
)
async def test_a_shadow_is_told_beside_the_decision_and_decides_nothing(shadow, shadowed, told):
    reader, embedding, seen = Says("faq"), Vectors([0.5]), []
    chooser = Chooser({"auto": Fork("auto", (), ROUTES)}, reader, embedding, shadow)
    plan = await chooser.plan(asked(), router(), seen.append)
    alone = await Chooser({"auto": Fork("auto", (), ROUTES)}, reader, None).plan(asked(), router())
    assert plan.decision == msgspec.structs.replace(alone.decision, by_vector=True)
    assert seen == [shadowed]
    assert shadowed.moves is (shadowed.shadow_model != "fast")
    assert plan.reason.endswith(f"; the shadow v1 would {told}")
    assert len(embedding.asked) == 1
    assert shadow.shown == reader.shown[:1]


async def test_a_shadow_names_no_model_that_the_key_may_not_use():
    seen = []
    chooser = Chooser({"auto": Fork("auto", (), ROUTES)}, Says("faq"), None, Says("code", "high"))
    plan = await chooser.plan(asked(allowed_models=("fast", "large")), router(), seen.append)
    assert seen == [Shadowed("auto", "faq", "fast", "code", "large")]
    assert "coder" not in plan.reason


async def test_a_shadow_looks_at_nothing_that_no_line_asks_for():
    shadow, seen = Says("faq"), []
    chooser = Chooser({"auto": Fork("auto", (), {"default": "large"})}, Says("faq"), None, shadow)
    await chooser.plan(asked(), router(), seen.append)
    assert (shadow.shown, seen) == ([], [])


class Tells:
    """Languages by the text that is shown."""

    def __init__(self, **languages):
        self.languages, self.shown = languages, []

    def language_of(self, text):
        self.shown.append(text)
        return self.languages.get(text, "")


GERMAN = Rule("coder", languages=frozenset({"de"}))
NIGHTS = Rule("large", hours=WeekHours(frozenset(range(7)), 22 * 60, 6 * 60, "Europe/Berlin"))


async def by_clock(request, *rules, languages=None, at="2026-12-01T12:00", reader=None):
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    fork = Fork("auto", rules, {"default": "fast"})
    plan = await Chooser({"auto": fork}, reader, None, languages=languages, now=lambda: moment).plan(request, router())
    return plan.decision.by, plan.reason


async def test_a_rule_by_language_holds_where_the_last_turn_is_in_it_and_says_so():
    languages = Tells(Hallo="de", Hello="en")
    by, reason = await by_clock(asked("Hallo"), GERMAN, languages=languages)
    assert (by, reason.startswith("auto: coder by rules.1 (language de)")) == ("rules.1", True)
    assert (await by_clock(asked("Hello"), GERMAN, languages=languages))[0] == "routes.default"


async def test_a_turn_that_tells_no_language_is_in_that_of_the_one_before():
    languages = Tells(Hallo="de")
    request = asked(subject=Subject("ok", earlier="Hallo", turns=2))
    assert (await by_clock(request, GERMAN, languages=languages))[0] == "rules.1"
    assert languages.shown == ["ok", "Hallo"]
    assert (await by_clock(asked("ok"), GERMAN, languages=languages))[0] == "routes.default"
    assert (await by_clock(asked(subject=None), GERMAN, languages=languages))[0] == "routes.default"


async def test_nobody_looks_for_a_language_that_no_rule_goes_by():
    languages = Tells(Hallo="de")
    await by_clock(asked("Hallo"), NIGHTS, languages=languages)
    assert languages.shown == []


async def test_a_rule_by_time_holds_by_the_clocks_of_its_zone_and_says_when():
    by, reason = await by_clock(asked(), NIGHTS, at="2026-12-01T21:30")
    assert (by, reason.startswith("auto: large by rules.1 (tue 22:30 Europe/Berlin)")) == ("rules.1", True)
    assert (await by_clock(asked(), NIGHTS, at="2026-12-01T20:30"))[0] == "routes.default"


async def test_the_time_of_each_request_counts():
    moments = iter([datetime(2026, 12, 1, hour, tzinfo=UTC) for hour in (23, 12)])
    chooser = Chooser({"auto": Fork("auto", (NIGHTS,), {"default": "fast"})}, None, None, now=lambda: next(moments))
    same = router()
    assert [(await chooser.plan(asked(), same)).decision.model for _ in range(2)] == ["large", "fast"]


async def test_a_shadow_sees_the_same_language_and_time():
    seen = []
    fork = Fork("auto", (GERMAN, NIGHTS), ROUTES)
    chooser = Chooser({"auto": fork}, Says("faq"), None, Says("code", "high"), languages=Tells(Hallo="de"))
    await chooser.plan(asked("Hallo"), router(), seen.append)
    assert seen == [Shadowed("auto", "faq", "coder", "code", "coder")]
