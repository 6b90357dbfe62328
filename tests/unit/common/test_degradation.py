"""What a ladder in the configuration may say."""

from __future__ import annotations

import pytest

from penstock_common.configuration import Configuration, ConfigurationError, Section
from penstock_common.degradation import DegradationStep, faults_of_ladders
from penstock_common.llm.types import Degradation


class Holder(Section):
    steps: list[DegradationStep] = []


def ladder(text: str) -> list[DegradationStep]:
    return Configuration.parse(f"steps: {text}", {}).settings(Holder).steps


def faults(**ladders: str) -> dict[str, list[tuple[object, str]]]:
    found = faults_of_ladders([(name, ladder(text)) for name, text in ladders.items()])
    return {name: list(below) for name, below in zip(ladders, found, strict=True) if below}


def test_steps_say_their_kind() -> None:
    steps = ladder("[{model: b}, {stale_if_error: 30d}, {template: Sorry.}, {templates: {general: Sorry.}}]")
    kinds = [Degradation.SMALLER_MODEL, Degradation.STALE, Degradation.TEMPLATE, Degradation.TEMPLATE]
    assert [step.kind for step in steps] == kinds
    assert [dict(step.texts) for step in steps] == [{}, {}, {"general": "Sorry."}, {"general": "Sorry."}]


WRONG = {
    "nothing": ("[{}]", "one of model, stale_if_error, template and templates is expected"),
    "two at once": ("[{model: b, template: x}]", "model and template are two steps"),
    "no text": ("[{template: 3}]", "a text in quotes"),
    "a blank text": ("[{template: '  '}]", "a text that says something"),
    "a long text": (f"[{{template: {'x' * 16385}}}]", "at most 16384 characters"),
    "no general text": ("[{templates: {faq: x}}]", "a text for 'general' is missing"),
    "an unknown task": ("[{templates: {general: x, zoo: y}}]", "one of faq, code, reasoning, internal_docs, general"),
    "no time": ("[{stale_if_error: 0s}]", "longer than zero and at most 30d"),
    "too long a time": ("[{stale_if_error: 31d}]", "longer than zero and at most 30d"),
    "an unknown key": ("[{stale: 1h}]", "did you mean 'stale_if_error'"),
}


@pytest.mark.parametrize(("text", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_step_that_cannot_be_meant_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        ladder(text)


def test_ladders_that_can_be_gone_down_have_no_fault() -> None:
    assert faults(a="[{model: b}, {stale_if_error: 1h}, {template: x}]", b="[{model: c}]", c="[]") == {}


def test_a_model_that_is_none_is_named_with_the_nearest() -> None:
    text = "the model 'fast' falls back on 'smal', which is no public model; did you mean 'small'?"
    assert faults(fast="[{template: x}, {model: smal}]", small="[]") == {"fast": [((1, "model"), text)]}


def test_a_model_cannot_fall_back_on_itself() -> None:
    assert faults(a="[{model: a}]") == {"a": [((0, "model"), "the model 'a' falls back on itself")]}


def test_a_circle_is_refused_and_who_only_leads_into_it_is_not() -> None:
    found = faults(a="[{model: b}]", b="[{model: c}]", c="[{model: b}]")
    assert set(found) == {"b", "c"}
    assert "'b' to 'c' to 'b'" in found["b"][0][1]


def test_a_kind_may_be_there_once() -> None:
    found = faults(a="[{template: x}, {stale_if_error: 1h}, {templates: {general: y}}]")
    assert found == {"a": [((2,), "the model 'a' has two steps of this kind, and may have one")]}
