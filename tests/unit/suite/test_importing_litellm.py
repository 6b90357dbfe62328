"""LiteLLM's configuration said in our words: what can be is carried, what cannot is named, and no key is copied."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from penstock_inference.adapters.providers.azure_openai.settings import AzureOpenAISettings
from penstock_inference.adapters.providers.vertex.settings import VertexSettings
from penstock_suite.app.importing import import_litellm, told
from penstock_suite.domain.importing.litellm import NotLiteLlm, imported
from penstock_suite.surfaces.cli.config import config

THEIRS = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      {model: azure/gpt-4o-eu, api_base: "https://eu.openai.azure.com/", api_key: os.environ/AZURE_API_KEY_EU,
       api_version: "2024-10-21", rpm: 6, tpm: 1000, max_parallel_requests: 3, order: 1}
    model_info: {base_model: azure/gpt-4o, max_input_tokens: 128000, supports_function_calling: true, supports_vision: true}
  - model_name: gpt-4o
    litellm_params:
      {model: openai/gpt-4o, api_key: sk-literal-1234567890, input_cost_per_token: 0.0000025, order: 2,
       cache_read_input_token_cost: 1.25e-06, output_cost_per_token: 0.00001, timeout: 600, stream_timeout: 2.5}
    model_info: {max_tokens: 128000}
  - model_name: claude
    litellm_params: {model: anthropic/claude-opus, api_key: os.environ/ANTHROPIC_API_KEY, cache_creation_input_token_cost: 0.000005}
    model_info: {max_input_tokens: 200000}
  - model_name: local
    litellm_params: {model: ollama_chat/llama3.2, api_base: "http://localhost:11434", drop_params: true}
    model_info: {max_input_tokens: 8192}
  - model_name: spread
    litellm_params: {model: hosted_vllm/Qwen/Qwen3-8B, api_base: "http://a:8000/v1"}
    model_info: {max_input_tokens: 32768}
  - model_name: spread
    litellm_params: {model: hosted_vllm/Qwen/Qwen3-8B, api_base: "http://b:8000/v1"}
    model_info: {max_input_tokens: 32768}
  - model_name: cloud
    litellm_params: {model: bedrock/converse/anthropic.claude-opus-v1:0, aws_region_name: eu-west-1}
    model_info: {max_input_tokens: 200000}
litellm_settings: {fallbacks: [{gpt-4o: [claude, local]}], cache: true, cache_params: {type: redis, ttl: 600, host: r}}
router_settings: {model_group_alias: {gpt-4: gpt-4o}}
general_settings: {master_key: os.environ/MASTER}
"""


def run(arguments):
    def unused(*_, **__):
        raise AssertionError("only the import is asked for")

    return CliRunner().invoke(config(unused, unused, unused, unused, import_litellm), arguments)


@pytest.fixture
def ours():
    return imported(yaml.safe_load(THEIRS))


def upstream(found, name):
    return next(one for one in found.document["upstreams"] if one["name"] == name)


def model(found, name):
    return next(one for one in found.document["models"] if one["name"] == name)


def test_a_deployment_of_azure_is_an_upstream_with_its_version_limits_and_base_model(ours):
    assert upstream(ours, "azure_openai") == {
        "name": "azure_openai",
        "provider": "azure_openai",
        "base_url": "https://eu.openai.azure.com/",
        "api_key": "${AZURE_API_KEY_EU}",
        "form": "deployments",
        "api_version": "2024-10-21",
        "limits": {"requests_per_minute": 6, "tokens_per_minute": 1000, "concurrent_requests": 3},
        "models": [
            {
                "name": "gpt-4o-eu",
                "context_window": 128000,
                "base_model": "gpt-4o",
                "capabilities": ["chat", "tools", "vision"],
            }
        ],
    }


def test_prices_per_token_become_prices_per_million_without_a_rest(ours):
    assert upstream(ours, "openai")["models"][0]["price"] == {"input": 2.5, "cached_input": 1.25, "output": 10.0}
    assert upstream(ours, "anthropic")["models"][0]["price"] == {"cache_write": 5.0}
    assert upstream(ours, "openai")["timeouts"] == {"total": "600s", "first_token": "2.5s"}


def test_fallbacks_stand_behind_a_models_own_candidates_in_their_order(ours):
    assert model(ours, "gpt-4o") == {
        "name": "gpt-4o",
        "candidates": [
            "azure_openai/gpt-4o-eu",
            "openai/gpt-4o",
            "anthropic/claude-opus",
            "ollama/llama3.2",
        ],
    }
    assert model(ours, "gpt-4")["candidates"] == model(ours, "gpt-4o")["candidates"]


def test_deployments_of_one_group_share_its_requests(ours):
    assert model(ours, "spread")["weights"] == {"vllm/Qwen/Qwen3-8B": 1, "vllm-2/Qwen/Qwen3-8B": 1}


def test_where_an_upstream_is_and_what_is_dropped(ours):
    assert upstream(ours, "ollama")["base_url"] == "http://localhost:11434/v1"
    assert model(ours, "local")["unsupported"] == "drop"
    assert upstream(ours, "bedrock") == {
        "name": "bedrock",
        "provider": "bedrock",
        "aws_region": "eu-west-1",
        "models": [{"name": "anthropic.claude-opus-v1:0", "context_window": 200000}],
    }
    assert ours.document["tenants"] == [{"name": "default", "tier": "enterprise", "keys": ["${MASTER}"]}]
    assert ours.document["cache"] == {"mode": "exact", "ttl": "600s"}


def test_no_key_is_copied_and_who_left_it_there_is_told(ours):
    assert "sk-literal" not in told(ours, "config.yaml", "penstock.yaml")
    assert (
        "model_list[1].litellm_params.api_key: the key stands there by itself; set OPENAI_API_KEY instead" in ours.notes
    )
    assert ours.variables == ["AZURE_API_KEY_EU", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MASTER"]


@pytest.mark.parametrize(
    ("entry", "note"),
    [
        ({"model_name": "*", "litellm_params": {"model": "*"}}, "model_list[0]: '*' stands for many models"),
        ({"model_name": "c", "litellm_params": {"model": "cohere/command"}}, "no provider of Penstock's is 'cohere'"),
        (
            {"model_name": "e", "litellm_params": {"model": "text-embedding-3"}, "model_info": {"mode": "embedding"}},
            "model_list[0]: 'mode: embedding' is not carried",
        ),
        ({"litellm_params": {"model": "x"}}, "model_list[0]: it has no 'model_name'"),
        ({"model_name": "v", "litellm_params": {"model": "hosted_vllm/x"}}, "model_list[0]: 'api_base' is missing"),
        (
            {"model_name": "t", "litellm_params": {"model": "openai/x", "temperature": 0.2}},
            "model_list[0].litellm_params.temperature: ",
        ),
        (
            {"model_name": "t", "litellm_params": {"model": "openai/x", "input_cost_per_token": "dear"}},
            "model_list[0].input_cost_per_token: it is no number",
        ),
    ],
)
def test_what_cannot_be_carried_is_named_by_its_place(entry, note):
    assert any(note in text for text in imported({"model_list": [entry]}).notes)


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("litellm_settings", "callbacks"),
        ("router_settings", "redis_host"),
        ("general_settings", "alerting"),
        ("litellm_settings", "context_window_fallbacks"),
    ],
)
def test_every_setting_that_has_no_place_here_is_named(section, name):
    found = imported({"model_list": [], section: {name: ["x"]}})
    assert any(text.startswith(f"{section}.{name}: ") for text in found.notes)


@pytest.mark.parametrize("other", [None, [], {}, {"model_list": {}}, "text"])
def test_another_file_is_refused(other):
    with pytest.raises(NotLiteLlm, match="model_list"):
        imported(other)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PARAMS = st.dictionaries(
    st.sampled_from(["model", "api_base", "api_key", "rpm", "timeout", "order", "weight", "custom_llm_provider"]),
    ANYTHING,
)
ENTRIES = st.fixed_dictionaries({"model_name": ANYTHING, "litellm_params": PARAMS, "model_info": ANYTHING}) | ANYTHING


@given(st.lists(ENTRIES, max_size=4), ANYTHING, ANYTHING, ANYTHING)
def test_whatever_stands_there_gives_a_document(entries, settings, routing, general):
    found = imported(
        {
            "model_list": entries,
            "litellm_settings": settings,
            "router_settings": routing,
            "general_settings": general,
        }
    )
    assert yaml.safe_load(told(found, "a", "b")) == json.loads(json.dumps(found.document))


def test_the_command_writes_the_file_and_says_what_is_left_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MASTER", "x")
    source, to = tmp_path / "config.yaml", tmp_path / "penstock.yaml"
    source.write_text(THEIRS)
    ran = run(["import", "litellm", str(source), "--to", str(to), "--json"])
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout)
    assert said["unset_variables"] == ["AZURE_API_KEY_EU", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"]
    assert yaml.safe_load(to.read_text())["models"][0]["name"] == "gpt-4o"
    assert to.stat().st_mode & 0o077 == 0
    again = run(["import", "litellm", str(source), "--to", str(to)])
    assert again.exit_code == 2
    assert "--force" in again.stderr


@pytest.mark.parametrize(("content", "said"), [("a: [", "line 1"), ("a: 1", "model_list"), ("[" * 5000, "config.yaml")])
def test_a_file_that_is_none_is_refused_with_its_place(content, said, tmp_path):
    source = tmp_path / "config.yaml"
    source.write_text(content)
    ran = run(["import", "litellm", str(source), "--to", "-"])
    assert ran.exit_code == 2
    assert said in ran.stderr


def test_a_model_on_vertex_is_an_upstream_that_its_settings_take():
    deployment = {
        "model_name": "gemini",
        "litellm_params": {"model": "vertex_ai/gemini-x", "vertex_project": "ours", "vertex_location": "europe-west4"},
        "model_info": {"max_input_tokens": 1000},
    }
    (found,) = imported({"model_list": [deployment]}).document["upstreams"]
    read = VertexSettings.model_validate(found)
    assert (read.project, read.region, read.models[0].name) == ("ours", "europe-west4", "gemini-x")


def the_upstream_of(**params):
    found = imported({"model_list": [{"model_name": "m", "litellm_params": params}]})
    (ours,) = found.document["upstreams"]
    return {name: value for name, value in ours.items() if name not in ("name", "models")}, found.notes


@pytest.mark.parametrize(
    ("address", "version", "form"),
    [
        ("https://r.openai.azure.com/openai/v1", "v1", {}),
        ("https://r.openai.azure.com/openai/v1/", None, {}),
        ("https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21", None,
         {"form": "deployments", "api_version": "2024-10-21"}),
        ("https://r.openai.azure.com", "preview", {}),
    ],
)  # fmt: skip
def test_an_azure_address_with_its_path_is_the_resource_alone(address, version, form, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("K", "a-key")
    ours, _ = the_upstream_of(model="azure/d", api_base=address, api_version=version, api_key="os.environ/K")
    assert ours == {"provider": "azure_openai", "base_url": "https://r.openai.azure.com", "api_key": "${K}", **form}
    models = [{"name": "d", "context_window": 1000, "capabilities": ["chat"]}]
    AzureOpenAISettings.model_validate({"name": "u", "models": models, **ours})


def test_whose_credentials_a_cloud_is_asked_with_is_carried_and_none_is_copied():
    ours, notes = the_upstream_of(
        model="bedrock/m", aws_region_name="eu-west-1", aws_access_key_id="AKIA1", aws_secret_access_key="os.environ/S"
    )
    assert (ours["aws_access_key_id"], ours["aws_secret_access_key"]) == ("${AWS_ACCESS_KEY_ID}", "${S}")
    assert "AKIA1" not in str((ours, notes))
    assert the_upstream_of(model="bedrock/m", aws_profile_name="p")[0]["aws_profile"] == "p"
    assert (
        the_upstream_of(model="vertex_ai/m", vertex_credentials="/run/key.json")[0]["credentials_file"]
        == "/run/key.json"
    )


@pytest.mark.parametrize("params", [{"vertex_credentials": '{"private_key": "secret"}'}, {"aws_profile_name": "p"}])
def test_an_identity_that_is_no_text_or_somebody_elses_is_named(params):
    ours, notes = the_upstream_of(model="vertex_ai/m", **params)
    assert ours == {"provider": "vertex"}
    assert any(f"model_list[0].litellm_params.{name}: " in note for name in params for note in notes)


@pytest.mark.parametrize(
    ("model", "provider"), [("claude-x", "anthropic"), ("gemini-x", "vertex"), ("gpt-x", "openai")]
)
def test_a_name_without_a_prefix_is_its_makers_and_so_is_the_key(model, provider):
    assert the_upstream_of(model=model, api_key="os.environ/K")[0]["provider"] == provider
    assert the_upstream_of(model=model, api_base="http://a/v1")[0]["provider"] == "openai_compatible"
