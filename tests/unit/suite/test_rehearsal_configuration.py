"""What a rehearsal makes of a configuration: its models and rules, nobody's address and nobody's key."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from penstock_common.configuration import Configuration
from penstock_gateway.settings import Settings as GatewaySettings
from penstock_inference.settings import Settings as InferenceSettings
from penstock_router.settings import Settings as RouterSettings
from penstock_suite.app.rehearsal import did, rows_named
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.rehearsal import public_models, staged, with_timers

DOCUMENT = yaml.safe_load("""
listen: {http: 0.0.0.0:80}
upstreams:
  - name: a
    provider: openai
    base_url: https://api.openai.com/v1
    api_key: ${NOBODY_HAS_SET_THIS}
    timeouts: {connect: 1s, first_token: 7s, idle_with_others: 3s}
    models: [{name: m, context_window: 1000}, {name: n, context_window: 9000}]
  - {name: t, provider: triton, grpc: 'triton:8001', model_control: {key: '${file:/nowhere}'},
     models: [{name: m, context_window: 500, chat_template: /nowhere/else}]}
  - {name: unused, provider: ollama, base_url: 'http://elsewhere/v1', models: [{name: m, context_window: 1}]}
models:
  - {name: fast, candidates: [a/m, t/m], weights: {a/m: 3, t/m: 1}, unsupported: drop}
  - {name: large, candidates: [a/m, a/n]}
  - {name: alone, candidates: [t/m]}
redis: {state: 'redis://:${SECRET}@redis:6379'}
sql: postgresql://somebody@somewhere/penstock
tenants: [{name: acme, keys: ['${ALSO_NOT_SET}']}]
gateway: {hold_back: 2s}
telemetry: {otlp: 'http://collector:4317'}
""")


def staged_as(name: str, tmp_path: Path) -> dict:
    (model,) = [model for model in public_models(DOCUMENT) if model.name == name]
    return staged(DOCUMENT, model, {"a": "http://127.0.0.1:1/v1", "t": "127.0.0.1:2"}, tmp_path)


def test_the_stack_of_a_rehearsal_can_be_built_without_a_key(tmp_path):
    configuration = Configuration(staged_as("fast", tmp_path))
    inference = configuration.settings(InferenceSettings)
    first, second = inference.upstreams
    assert (first.base_url, second.grpc) == ("http://127.0.0.1:1/v1", "127.0.0.1:2")
    assert first.timeouts.first_token == timedelta(seconds=7)
    (model,) = configuration.settings(RouterSettings).models
    assert model.weights == {"a/m": 3, "t/m": 1}
    assert model.unsupported.value == "drop"
    gateway = configuration.settings(GatewaySettings)
    assert gateway.gateway.hold_back == timedelta(seconds=2)
    assert gateway.sql == f"sqlite:///{tmp_path}/penstock.db"


def test_nothing_of_it_leads_anywhere_else(tmp_path):
    text = yaml.safe_dump(staged_as("fast", tmp_path))
    for trace in (
        "openai.com",
        "triton:8001",
        "elsewhere",
        "NOBODY",
        "nowhere",
        "somewhere",
        "collector",
        "acme",
        "redis:",
    ):
        assert trace not in text


def test_models_know_whether_anybody_else_could_answer():
    fast, large, alone = public_models(DOCUMENT)
    assert fast.upstreams == {"a", "t"}
    assert fast.wires["t"] == "triton"
    assert [model.is_alone(larger_window=False) for model in (fast, large, alone)] == [False, False, True]
    assert [model.is_alone(larger_window=True) for model in (fast, large, alone)] == [True, False, True]


def test_timers_are_cut_where_nobody_wants_to_wait(tmp_path):
    cut = with_timers(DOCUMENT, timedelta(milliseconds=500))
    assert DOCUMENT["upstreams"][0]["timeouts"] == {
        "connect": "1s",
        "first_token": "7s",
        "idle_with_others": "3s",
    }
    timeouts = cut["upstreams"][0]["timeouts"]
    assert timeouts["connect"] == "1s"
    assert "idle_with_others" not in timeouts
    assert {timeouts[name] for name in ("headers", "first_token", "whole", "idle")} == {timedelta(milliseconds=500)}


def test_rows_have_several_names():
    assert [row.id for row in rows_named(["9"])] == ["9-cut-stall"]
    assert [row.id for row in rows_named(["cut-reset", "15-outage"])] == ["8-cut-reset", "15-outage"]
    numbers = [row.number for row in rows_named([])]
    assert numbers == sorted(numbers)
    assert {*numbers} == {*range(1, 21)}
    with pytest.raises(Misconfigured, match="there is no row '99'; there are 1-429-one-second"):
        rows_named(["99"])


def test_what_was_done_names_the_others_part_too():
    (row,) = rows_named(["cut-refuses-prefill"])
    assert did(row).endswith("the next one answers, and refuses to go on from a beginning")
