"""Which errors lead down a ladder, and which of its steps a request can take."""

from datetime import timedelta

import msgspec
import pytest

from penstock_common import errors
from penstock_common.llm.types import (
    Candidate,
    Decision,
    JsonObject,
    JsonSchema,
    Plan,
    SamplingParams,
    Tool,
)
from penstock_gateway.domain.life.admission import TurnedAway
from penstock_gateway.domain.life.descent import goes_on
from penstock_gateway.domain.life.ladder import Asked, Ladder, SmallerModel, StaleAnswer, Template, is_an_upstreams
from penstock_gateway.domain.life.order import CacheControl

DAY = timedelta(days=1)
TEXT = Template({"general": "Sorry.", "faq": "See the handbook."})
STALE = StaleAnswer(DAY)
OF_UPSTREAMS = {
    errors.UpstreamFailed,
    errors.UpstreamTimeout,
    errors.NoHealthyUpstream,
    errors.RateLimited,
    errors.Overloaded,
}
EVERY_KIND = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PenstockError)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_only_what_is_an_upstreams_leads_down(kind):
    assert is_an_upstreams(kind("No.")) is (kind in OF_UPSTREAMS)
    assert goes_on(kind("No."), is_down=False) is (kind in OF_UPSTREAMS)


@pytest.mark.parametrize("is_down", [True, False])
def test_what_asks_no_model_follows_the_end_of_a_models_time(is_down):
    late = errors.DeadlineExceeded("Late.")
    assert goes_on(late, is_down=is_down, has_quick_steps=True)
    assert not goes_on(late, is_down=is_down, has_quick_steps=False)


def test_time_is_kept_for_steps_that_ask_no_model_alone():
    assert Ladder.of(SmallerModel("small"), reserve=DAY).reserve == timedelta()
    assert Ladder.of(SmallerModel("small"), TEXT, reserve=DAY).reserve == DAY
    assert [Ladder.of(*rungs).has_quick_steps for rungs in ((STALE,), (TEXT,), (SmallerModel("s"),))] == [
        True,
        True,
        False,
    ]


def test_a_full_process_of_ours_is_no_upstream():
    assert not is_an_upstreams(TurnedAway("Full."))


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_a_step_that_fails_is_left_for_the_next_but_for_what_is_the_end(kind):
    assert goes_on(kind("No."), is_down=True) is (kind not in {errors.ContentRefused, errors.DeadlineExceeded})


def asked(ask, control=None, choices=None, **parts):
    parts.setdefault("sampling", SamplingParams(choices=choices))
    return Asked(msgspec.structs.replace(ask(), **parts), control or CacheControl())


CANNOT_BE_A_TEXT = {
    "tools": ({"tools": (Tool(name="look"),)}, "the request has tools"),
    "several": ({"choices": 2}, "several answers are wanted"),
    "probabilities": ({"sampling": SamplingParams(top_logprobs=0)}, "probabilities are wanted, which a text has not"),
    "a schema": ({"response_format": JsonSchema(name="s")}, "the answer must fit a schema"),
    "an object": ({"response_format": JsonObject()}, "the answer must be a JSON object"),
}


@pytest.mark.parametrize(("parts", "says"), CANNOT_BE_A_TEXT.values(), ids=CANNOT_BE_A_TEXT.keys())
def test_a_text_is_no_answer_to(ask, parts, says):
    assert TEXT.objection(asked(ask, **parts)) == says
    assert SmallerModel("small").objection(asked(ask, **parts)) == ""


def test_a_text_is_an_answer_to_what_asks_for_text(ask):
    assert TEXT.objection(asked(ask)) == ""
    assert TEXT.objection(asked(ask, choices=1)) == ""


@pytest.mark.parametrize(
    ("text", "is_one"), [("{}", True), ("[]", False), ("Sorry.", False), ('{"a": 1', False)], ids=repr
)
def test_a_text_that_is_an_object_answers_what_asks_for_one(ask, text, is_one):
    assert (Template({"general": text}).objection(asked(ask, response_format=JsonObject())) == "") is is_one


NO_KEPT_ANSWER = {
    "no-store": {"control": CacheControl(no_store=True)},
    "no-cache": {"control": CacheControl(no_cache=True)},
    "several": {"choices": 2},
}


@pytest.mark.parametrize("parts", NO_KEPT_ANSWER.values(), ids=NO_KEPT_ANSWER.keys())
def test_a_kept_answer_is_none_to(ask, parts):
    assert STALE.objection(asked(ask, **parts)) != ""


def test_a_kept_answer_is_one_to_all_others(ask):
    assert STALE.objection(asked(ask, control=CacheControl(max_age=DAY), tools=(Tool(name="look"),))) == ""


def plan_of(task):
    seen = None if task is None else Decision("fast", "routes.x", task)
    return Plan(candidates=(Candidate(upstream="u", model="m"),), decision=seen)


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (plan_of("faq"), "See the handbook."),
        (plan_of("code"), "Sorry."),
        (plan_of(None), "Sorry."),
        (None, "Sorry."),
    ],
    ids=["its own", "another task", "not classified", "not routed"],
)
def test_the_text_is_the_tasks_where_it_has_one(plan, text):
    assert TEXT.text_for(plan) == text


def test_answers_are_kept_longer_only_where_a_step_gives_them():
    assert Ladder.of(SmallerModel("small"), TEXT).stale_for is None
    assert Ladder.of(SmallerModel("small"), STALE, TEXT).stale_for == DAY


def test_one_text_that_is_no_object_is_enough_to_be_no_answer(ask):
    texts = Template({"general": "{}", "faq": "See there."})
    assert texts.objection(asked(ask, response_format=JsonObject())) == "the answer must be a JSON object"


def test_answers_are_kept_for_the_longest_of_the_ladders_steps():
    assert Ladder.of(StaleAnswer(DAY), StaleAnswer(2 * DAY)).stale_for == 2 * DAY
