"""What the configuration may say of experiments, and what it is refused with."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_gateway.domain.experiments.definition import AdaptiveShares, Metric, Unit
from penstock_gateway.settings import Settings

MODELS = "models: [{name: fast}, {name: large}, {name: other}]\n"


def read(text: str) -> Settings:
    return Configuration.parse(MODELS + text, {}).settings(Settings)


def faults(text: str) -> str:
    with pytest.raises(ConfigurationError) as failed:
        read(text)
    return str(failed.value)


def one(more: str = "", variant: str = "{name: v, share: 0.5, model: large}") -> str:
    return f"experiments: [{{name: a, models: [fast], variants: [{variant}]{more}}}]"


def on_prompt(variant: str, more: str = "") -> str:
    return f"experiments: [{{name: a, variants: [{variant}]{more}}}]"


def test_what_is_not_said_has_a_default() -> None:
    (experiment,) = read(one()).experiments_configured()
    assert (experiment.unit, experiment.minimum_samples, experiment.planned_samples) == (Unit.USER, 200, 10_000)
    assert [measure.metric for measure in experiment.measures] == [Metric.COST]
    assert not experiment.measures[0].more_is_better
    assert experiment.names == ("control", "v")
    assert experiment.shares == (0.5, 0.5)


def test_all_that_can_be_said_is_read() -> None:
    more = (
        ", unit: key, salt: s, error_probability: 0.01, near: 0.02, minimum_samples: 300, planned_samples: 5000"
        ", metrics: [{name: feedback}, {name: latency, guardrail: 0.1, direction: higher}]"
        ", starts_at: 2026-01-01T00:00:00, ends_at: 2026-02-01T01:00:00+01:00, adaptive: {least: 0.2, most: 0.8}"
    )
    (experiment,) = read(one(more)).experiments_configured()
    assert [(one.metric.value, one.more_is_better, one.guardrail) for one in experiment.measures] == [
        ("feedback", True, None),
        ("latency", True, 0.1),
    ]
    assert experiment.starts_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert experiment.ends_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert experiment.adaptive == AdaptiveShares(0.2, 0.8)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (one(variant="{name: v, share: 0.5, model: larg}"), "no model 'larg'; did you mean 'large'?"),
        (one(variant="{name: v, share: 0.7, model: large}, {name: w, share: 0.4, model: other}"), "110% together"),
        (one(variant="{name: v, share: 0.5}"), "changes nothing"),
        (one(variant="{name: v, model: fast}"), "asks the model 'fast' that it is to vary"),
        (one(variant="{name: v, prompt: 'greet@2'}"), "leave 'models' out"),
        (on_prompt("{name: v, prompt: greet}"), "experiments[0].variants[0].prompt"),
        (on_prompt("{name: v, prompt: 'greet@0'}"), "experiments[0].variants[0].prompt"),
        (on_prompt("{name: v, prompt: 'greet@2'}, {name: w, share: 0.1}"), "'w' changes nothing; name the version"),
        (on_prompt("{name: v, prompt: 'greet@2'}, {name: w, prompt: 'bye@1'}"), "'w' has another prompt than 'greet'"),
        (on_prompt("{name: v, prompt: 'greet@2', model: large}"), "another prompt or another model, not both"),
        (on_prompt("{name: v, prompt: 'greet@2'}", ", shadow: true"), "it cannot vary the prompt"),
        (on_prompt("{name: v, model: large}"), "or let the variants name a `prompt`"),
        (one(variant="{name: control, model: large}"), "the control is whoever has no variant"),
        (one(variant="{name: v, model: large}, {name: v, model: other}"), "variant 'v' is defined twice"),
        (one(variant="{name: v, model: large, policy: cost}"), "unknown key 'experiments[0].variants[0].policy'"),
        (one(", metrics: [{name: cost}, {name: cost}]"), "a metric is named twice"),
        (one(", metrics: [{name: price}]"), "one of cost, latency, error_rate, feedback is expected"),
        (one(", starts_at: 2026-02-01T00:00:00Z, ends_at: 2026-01-01T00:00:00Z"), "ends before it starts"),
        (one(", starts_at: soon"), "a time such as 2026-01-31T08:00:00Z is expected"),
        (one(", shadow: true, adaptive: {least: 0.1, most: 0.9}"), "cannot follow the figures"),
        (one(", adaptive: {least: 0.6, most: 0.9}"), "cannot all lie"),
        (one(", minimum_samples: 5"), "at least 100"),
        ("experiments: [{name: a, models: [fsat], variants: [{name: v, model: large}]}]", "did you mean 'fast'?"),
    ],
)
def test_what_cannot_be_meant_is_told(text: str, told: str) -> None:
    assert told in faults(text)


def _two(second: str) -> str:
    first = "{name: a, models: [fast], variants: [{name: v, model: large}]}"
    return f"experiments: [{first}, {second}]"


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ("{name: a, models: [other], variants: [{name: v, model: large}]}", "experiment 'a' is defined twice"),
        ("{name: b, models: [fast], variants: [{name: v, model: large}]}", "in the experiment 'a' already"),
        ("{name: b, models: [large], variants: [{name: v, model: fast}]}", "varied by the experiment 'a' itself"),
        ("{name: b, models: [large], variants: [{name: v, model: other}]}", "varied by the experiment 'b' itself"),
    ],
)
def test_experiments_are_not_laid_over_one_another(second: str, told: str) -> None:
    assert told in faults(_two(second))


def test_versions_of_a_prompt_are_compared_by_one_experiment() -> None:
    (experiment,) = read(
        on_prompt("{name: v, prompt: 'greet@2'}, {name: w, prompt: 'greet@3'}")
    ).experiments_configured()
    assert (experiment.prompt, experiment.models) == ("greet", frozenset())
    assert [variant.version for variant in experiment.variants] == [2, 3]
    two = "{name: a, variants: [{name: v, prompt: 'p@2'}]}, {name: b, variants: [{name: v, prompt: 'p@3'}]}"
    assert "the prompt 'p' is in the experiment 'a' already" in faults(f"experiments: [{two}]")
