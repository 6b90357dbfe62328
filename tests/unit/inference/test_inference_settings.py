"""The configuration's upstreams, as the contract writes them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.llm.types import Candidate, UnitPrices
from penstock_inference.app import catalogue_from
from penstock_inference.domain.catalogue import Capability
from penstock_inference.settings import Settings

CONTRACT = """
upstreams:
  - name: openai
    provider: openai
    base_url: https://api.openai.com/v1
    api_key: sk-very-secret
    region: us
    timeouts: {connect: 1s, first_token: 12s, idle: 500ms, total: 10m}
    limits: {requests_per_minute: 500, tokens_per_minute: 200000}
    models:
      - name: gpt-4o-mini
        context_window: 128000
        capabilities: [chat, tools, json_schema, vision]
        price: {input: 0.15, cached_input: 0.075, output: 0.60}
      - name: o4/mini
        context_window: 200000
        capabilities: [chat, reasoning]
        price: {input: 1.10, output: 4.40}
  - name: local
    provider: triton
    grpc: 127.0.0.1:8001
    models: [{name: penstock-demo, context_window: 512, capabilities: [chat], price: {input: 0, output: 0}}]
"""
LEAST = "upstreams: [{name: a, provider: %s, models: [{name: m, context_window: 9}]%s}]"


def settings(text: str) -> Settings:
    """Return the settings in a document."""
    return Configuration.parse(text, {}).settings(Settings)


def refused(text: str) -> str:
    """Return why a document is refused."""
    with pytest.raises(ConfigurationError) as error:
        settings(text)
    return str(error.value)


def test_prices_become_whole_nano_dollars_per_million_tokens() -> None:
    model = catalogue_from(settings(CONTRACT)).find(Candidate(upstream="openai", model="gpt-4o-mini"))
    assert model is not None
    assert model.prices == UnitPrices(
        input_nano_usd=150_000_000, cached_input_nano_usd=75_000_000, output_nano_usd=600_000_000
    )
    assert model.context_window_tokens == 128_000
    assert Capability.VISION in model.capabilities


def test_cached_input_costs_as_much_as_fresh_where_nothing_is_said() -> None:
    model = catalogue_from(settings(CONTRACT)).find(Candidate(upstream="openai", model="o4/mini"))
    assert model is not None
    assert model.prices.cached_input_nano_usd == model.prices.input_nano_usd == 1_100_000_000


def test_headers_follow_first_token() -> None:
    model = catalogue_from(settings(CONTRACT)).find(Candidate(upstream="openai", model="gpt-4o-mini"))
    assert model is not None
    assert model.timeouts.headers == model.timeouts.first_token == timedelta(seconds=12)
    assert model.timeouts.idle == timedelta(milliseconds=500)


def test_reasoning_models_may_think_for_five_minutes_where_nothing_is_said() -> None:
    text = LEAST % ("vllm", ", base_url: 'http://x'")
    (plain,) = catalogue_from(settings(text))
    assert plain.timeouts.first_token == timedelta(seconds=30)
    (thinking,) = catalogue_from(
        settings(text.replace("context_window: 9", "context_window: 9, capabilities: [reasoning]"))
    )
    assert thinking.timeouts.first_token == thinking.timeouts.headers == timedelta(seconds=300)


def test_a_secret_is_not_shown() -> None:
    assert "very-secret" not in repr(settings(CONTRACT))


@pytest.mark.parametrize("provider", ["azure_openai", "anthropic"])
def test_a_provider_of_a_later_version_is_refused_with_a_sentence_that_says_so(provider: str) -> None:
    said = refused(LEAST % (provider, ", base_url: 'https://x'"))
    assert f"this version cannot serve the provider '{provider}' yet" in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LEAST % ("opanai", ""), "unknown provider 'opanai'"),
        (LEAST % ("openai", ""), "needs 'base_url'"),
        (LEAST % ("openai", ", base_url: 'x:1'"), "needs 'base_url'"),
        (LEAST % ("triton", ""), "needs 'grpc'"),
        (LEAST % ("triton", ", grpc: 'x:1', base_url: 'http://x'"), "needs 'grpc'"),
        (LEAST % ("vllm", ", base_url: 'http://x', apikey: y"), "did you mean 'api_key'"),
        (LEAST % ("vllm", ", base_url: 'http://x', timeouts: {idle: 0s}"), "'idle' must be longer"),
        (LEAST % ("vllm", ", base_url: 'http://x', timeouts: {idle: 20}"), "a duration such as"),
        (CONTRACT.replace("name: local", "name: openai"), "two upstreams have the same name"),
        (CONTRACT.replace("name: o4/mini", "name: gpt-4o-mini"), "a model twice"),
        (CONTRACT.replace("name: local", "name: a/b"), "upstreams[1].name"),
        (CONTRACT.replace("output: 0.60", "output: -1"), "greater than or equal to 0"),
    ],
)
def test_a_mistake_is_named(text: str, says: str) -> None:
    assert says in refused(text)
