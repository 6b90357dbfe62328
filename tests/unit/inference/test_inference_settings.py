"""The configuration's upstreams, as the contract writes them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.llm.types import Candidate, UnitPrices
from penstock_inference.adapters.providers.registry import PROVIDERS
from penstock_inference.configured import catalogue_from
from penstock_inference.domain.catalogue import Capability, Model, WholeAnswers
from penstock_inference.domain.health.rules import HealthRules
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LEAST % ("opanai", ""), "unknown provider 'opanai'"),
        (LEAST % ("openai", ""), "'upstreams[0].base_url': the upstream 'a' needs one"),
        (LEAST % ("openai", ", base_url: 'x:1'"), "'upstreams[0].base_url': a URL must begin with http:// or https://"),
        (LEAST % ("triton", ""), "'upstreams[0].grpc': the upstream 'a' needs one"),
        (LEAST % ("triton", ", grpc: 'x:1', base_url: 'http://x'"), "is a Triton, which has 'grpc'"),
        (LEAST % ("vllm", ", base_url: 'http://x', apikey: y"), "did you mean 'api_key'"),
        (
            LEAST % ("vllm", ", base_url: 'http://x', timeouts: {idle: 0s}"),
            "'upstreams[0].timeouts.idle': it must be longer",
        ),
        (LEAST % ("vllm", ", base_url: 'http://x', timeouts: {idle: 20}"), "a duration such as"),
        (LEAST % ("vllm", ", base_url: 'http://x', timeouts: {end: 0s}"), "timeouts.end': it must be longer"),
        (LEAST % ("vllm", ", base_url: 'http://x', manners_remembered: 10"), "a duration such as"),
        (LEAST % ("vllm", ", base_url: 'http://x', hand_back_extras: perhaps"), "upstreams[0].hand_back_extras"),
        (CONTRACT.replace("name: local", "name: openai"), "two upstreams have the same name"),
        (
            CONTRACT.replace("name: o4/mini", "name: gpt-4o-mini"),
            "'upstreams[0].models[1].name': the upstream 'openai' has the model 'gpt-4o-mini' twice",
        ),
        (CONTRACT.replace("name: local", "name: a/b"), "upstreams[1].name"),
        (CONTRACT.replace("output: 0.60", "output: -1"), "price.output': it must be at least 0"),
    ],
)
def test_a_mistake_is_named(text: str, says: str) -> None:
    assert says in refused(text)


def model(text: str) -> Model:
    """Return the one model of a document."""
    (only,) = catalogue_from(settings(text))
    return only


def test_whole_answers_are_asked_whole_of_those_who_can_and_need_not_think() -> None:
    plain = LEAST % ("vllm", ", base_url: 'http://x'")
    thinking = plain.replace("context_window: 9", "context_window: 9, capabilities: [reasoning]")
    assert model(plain).whole_answers is WholeAnswers.ALONE
    assert model(thinking).whole_answers is WholeAnswers.NEVER
    assert model(thinking.replace("base_url", "whole_answers: whole, base_url")).whole_answers is WholeAnswers.ALWAYS
    assert model(plain.replace("base_url", "whole_answers: stream, base_url")).whole_answers is WholeAnswers.NEVER
    assert model(LEAST % ("triton", ", grpc: 'x:1'")).whole_answers is WholeAnswers.NEVER
    assert "'upstreams[0].whole_answers'" in refused(plain.replace("base_url", "whole_answers: twice, base_url"))


def test_the_end_of_a_response_is_waited_for_a_second_unless_it_is_said() -> None:
    text = LEAST % ("vllm", ", base_url: 'http://x'%s")
    assert model(text % "").timeouts.seconds.end == 1
    assert model(text % ", timeouts: {end: 250ms}").timeouts.seconds.end == 0.25


def test_whole_is_twice_first_token_unless_it_is_said() -> None:
    text = LEAST % ("vllm", ", base_url: 'http://x'%s")
    assert model(text % "").timeouts.whole == timedelta(seconds=60)
    assert model(text % ", timeouts: {first_token: 45s}").timeouts.whole == timedelta(seconds=90)
    assert model(text % ", timeouts: {first_token: 45s, whole: 7s}").timeouts.whole == timedelta(seconds=7)


def test_a_key_is_looked_for_among_all_that_an_upstream_may_have() -> None:
    assert "did you mean 'model_control'" in refused(LEAST % ("triton", ", grpc: 'x:1', model_controll: {}"))
    assert "did you mean 'whole_answers'" in refused(LEAST % ("vllm", ", base_url: 'http://x', whole_answer: whole"))


@pytest.mark.parametrize(
    "text",
    [
        LEAST % ("triton", ", grpc: 'x:1', base_url: '', api_key: unused, passthrough: true"),
        LEAST % ("vllm", ", base_url: 'http://x', grpc: '', model_control: null, region: eu"),
    ],
)
def test_what_another_provider_would_need_may_be_said_empty(text: str) -> None:
    assert settings(text).upstreams


def test_model_control_belongs_to_triton() -> None:
    assert "'model_control', which only Triton has" in refused(
        LEAST % ("vllm", ", base_url: 'http://x', model_control: {key: very-secret}")
    )


def test_a_key_that_would_end_a_header_is_refused_and_not_shown() -> None:
    said = refused(LEAST % ("vllm", ", base_url: 'http://x', api_key: \"very-secret\\r\\nHost: y\""))
    assert "upstreams[0].api_key" in said
    assert "very-secret" not in said


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://x:port/v1", "port is none"),
        ("http://x:70000/v1", "port is none"),
        ("http://x:0/v1", "port is none"),
        ("ftp://x/v1", "must begin with http:// or https://"),
        ("api.openai.com/v1", "must begin with http:// or https://"),
        ("http://", "name a host"),
        ("http://a b/v1", "host is not a name"),
        ("http://x/v1?api-version=1", "no ?"),
        ("http://x/v1#a", "no #"),
        ("http://x/v1/chat/completions", "leave out /chat/completions"),
        ("http://x/v1/embeddings/", "leave out /embeddings"),
    ],
)
def test_an_address_that_is_none_is_named_at_the_start(url: str, says: str) -> None:
    said = refused(LEAST % ("vllm", f", base_url: '{url}'"))
    assert "'upstreams[0].base_url'" in said
    assert says in said
    with pytest.raises(ConfigurationError):
        settings(LEAST % ("triton", f", grpc: '{url}'"))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_of_the_table_can_be_configured(provider: str) -> None:
    places = {
        "triton": ", grpc: 'x:1'",
        "bedrock": ", region: us-east-1",
        "vertex": ", project: x, region: global",
    }
    place = places.get(provider, ", base_url: 'http://x'")
    (upstream,) = settings(LEAST % (provider, place)).upstreams
    assert isinstance(upstream, PROVIDERS[provider].settings)
    assert upstream.provider == provider


def test_settings_may_be_given_as_what_they_were_read_into():
    read = Settings.model_validate(
        {
            "upstreams": [
                {"name": "t", "provider": "triton", "grpc": "a:1", "models": [{"name": "m", "context_window": 1}]}
            ]
        }
    )
    assert Settings(upstreams=read.upstreams) == read


TIERED = "upstreams: [{name: a, provider: openai_compatible, base_url: http://a, models: [{name: m, context_window: 9, service_tiers: %s}]}]"


def test_tiers_of_service_have_prices_of_their_own() -> None:
    priced = settings(TIERED % "{priority: {input: 2, output: 4}}")
    model = catalogue_from(priced).find(Candidate(upstream="a", model="m"))
    assert model is not None
    assert model.tier_prices["priority"].output_nano_usd == 4 * 10**9
    assert model.prices.is_unknown


@pytest.mark.parametrize("name", ["default", "auto", "Priority", "''"])
def test_a_tier_that_could_not_be_asked_for_is_refused(name: str) -> None:
    assert "is no name of a tier" in refused(TIERED % f"{{{name}: {{input: 2}}}}")


def replicas(**more: object) -> dict[str, object]:
    """Return the settings of an upstream without an address."""
    return {"name": "u", "provider": "vllm", "models": [{"name": "m", "context_window": 10}], **more}


def test_each_address_with_each_key_is_an_endpoint_whose_name_holds_no_secret() -> None:
    more = {"base_urls": ["http://a:1/v1", "http://b:1/v1/"], "api_keys": ["sk-one", "sk-two"]}
    (upstream,) = Settings.model_validate({"upstreams": [replicas(**more)]}).upstreams
    endpoints = upstream.endpoints()
    assert [name.partition("#")[0] for name, _ in endpoints] == ["a:1/v1", "a:1/v1", "b:1/v1", "b:1/v1"]
    assert len({name for name, _ in endpoints}) == 4
    assert not any("sk-" in name for name, _ in endpoints)
    one = endpoints[3][1]
    assert (one.base_url, one.api_key.get_secret_value()) == ("http://b:1/v1/", "sk-two")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"base_url": "http://a/v1", "base_urls": ["http://b/v1"]}, "one of the two says where"),
        ({"base_url": "http://a/v1", "api_key": "x", "api_keys": ["y"]}, "one of the two says what"),
        ({"base_urls": ["http://a/v1", "http://a/v1"]}, "is there twice"),
    ],
    ids=["two addresses", "two keys", "twice"],
)
def test_what_contradicts_itself_is_refused(more: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Settings.model_validate({"upstreams": [replicas(**more)]})


def test_the_numbers_of_health_reach_the_domain_and_are_the_domains_own_where_nothing_is_said() -> None:
    assert Settings().health.rules() == HealthRules()
    health = {
        "failures_in_a_row": 7, "failure_ratio": 0.25, "failure_requests": 8, "window": "9s", "probe_every": "1s",
        "probe_every_in_long_outage": "2s", "probe_every_of_refused_key": "3s", "probe_timeout": "4s",
        "longest_cool_down": "5s", "slow_ratio": 6, "slow_at_least": "7s", "retries_at_once": 8, "retry_ratio": 0.5,
    }  # fmt: skip
    assert Settings.model_validate({"health": health}).health.rules() == HealthRules(
        7, 0.25, 8, 9, 1, 2, 3, 4, 5, 6, 7, retries_in_flight=8, retry_ratio=0.5
    )


@pytest.mark.parametrize(
    ("health", "says"),
    [
        ({"window": "0s"}, "longer than nothing"),
        ({"share_every": "2s"}, "within a second"),
        ({"failure_ratio": 1.1}, "less than or equal to 1"),
        ({"slow_ratio": 1}, "greater than 1"),
    ],
    ids=str,
)
def test_numbers_of_health_that_cannot_be_are_refused(health: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Settings.model_validate({"health": health})
