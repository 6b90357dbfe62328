"""What the local stack adds to a configuration, and what it takes away."""

import copy
from pathlib import Path

import pytest
import yaml

from penstock_suite.domain.effective import LocalParts, completed, has_demo_key, without_triton
from penstock_suite.domain.state_folder import StateFolder

STATE = StateFolder(Path("/state"))
PARTS = LocalParts(
    state=STATE,
    redis_url="unix:///state/redis.sock",
    triton_grpc="127.0.0.1:4242",
    chat_templates={"a": Path("/repository/a/chat_template.jinja")},
    demo_tenant="demo",
    demo_key="${file:/state/demo-key}",
    operator_key="${file:/state/operator-key}",
)
MIXED = yaml.safe_load("""
upstreams:
  - {name: local, provider: triton, models: [{name: a}, {name: b}]}
  - {name: theirs, provider: triton, grpc: 'triton:8001', models: [{name: a}]}
  - {name: remote, provider: openai, models: [{name: m}]}
models:
  - {name: both, candidates: [local/a, remote/m], weights: {local/a: 1, remote/m: 3}}
  - {name: ours, candidates: [local/b]}
  - {name: far, candidates: [theirs/a]}
tenants: [{name: other}, {name: demo, keys: [own-key-of-the-file]}]
""")


@pytest.mark.parametrize(
    ("document", "qdrant"),
    [
        ({"cache": {"mode": "semantic"}}, {"path": "/state/vectors"}),
        ({"cache": {"mode": "semantic"}, "qdrant": {"hnsw_m": 8}}, {"path": "/state/vectors", "hnsw_m": 8}),
        ({"cache": {"mode": "semantic"}, "qdrant": {"path": "/own"}}, {"path": "/own"}),
        ({"cache": {"mode": "semantic"}, "qdrant": {"url": "http://q:6334"}}, {"url": "http://q:6334"}),
        ({"cache": {"mode": "exact"}}, None),
        ({"cache": None}, None),
    ],
)
def test_vectors_are_kept_in_the_state_folder_where_nothing_else_is_said(document, qdrant):
    assert completed(document, PARTS).get("qdrant") == qdrant


def test_what_the_file_names_stands():
    document = {
        "sql": "postgresql://db/penstock",
        "redis": {"state": "redis://r", "cache": "redis://c"},
        "secrets": {"key_pepper_file": "/p", "cache_key_file": "/c", "edge_token_file": "/e"},
        "cache": {"key_dir": "/k"},
        "operator": {"keys": ["o"]},
        "telemetry": {"sample_ratio": 0.5},
        "tenants": [{"name": "t", "keys": ["k"]}],
    }
    assert completed(document, LocalParts(state=STATE, redis_url="unix:///x")) == document


def test_what_the_file_leaves_open_is_the_stacks_own():
    full = completed({}, PARTS)
    assert full["sql"] == "sqlite:////state/penstock.db"
    assert full["redis"] == {"state": "unix:///state/redis.sock", "cache": "unix:///state/redis.sock"}
    assert full["secrets"] == {
        "key_pepper_file": "/state/key-pepper",
        "cache_key_file": "/state/cache-key",
        "edge_token_file": "/state/edge-token",
    }
    assert full["cache"] == {"key_dir": "/state/cache-keys"}
    assert full["operator"] == {"keys": ["${file:/state/operator-key}"]}
    assert full["telemetry"] == {"sample_ratio": 1.0}
    assert "embedding" not in full


def test_stacks_operator_key_joins_those_of_the_file():
    full = completed({"operator": {"keys": ["own"]}}, PARTS)
    assert full["operator"] == {"keys": ["own", "${file:/state/operator-key}"]}


def test_one_redis_of_two_is_filled_in():
    assert completed({"redis": {"state": "redis://r"}}, PARTS)["redis"] == {
        "state": "redis://r",
        "cache": "unix:///state/redis.sock",
    }


def test_an_embedding_section_keeps_its_models_in_the_state_folder():
    assert completed({"embedding": {}}, PARTS)["embedding"] == {"cache_dir": "/state/models"}


def test_only_a_triton_without_an_address_gets_the_local_one():
    local, theirs, remote = completed(MIXED, PARTS)["upstreams"]
    assert local["grpc"] == "127.0.0.1:4242"
    assert local["models"] == [{"name": "a", "chat_template": "/repository/a/chat_template.jinja"}, {"name": "b"}]
    assert (theirs, remote) == tuple(MIXED["upstreams"][1:])


def test_the_demo_key_joins_the_named_tenants_own_keys():
    other, demo = completed(MIXED, PARTS)["tenants"]
    assert other == {"name": "other"}
    assert demo["keys"] == ["own-key-of-the-file", "${file:/state/demo-key}"]


def test_a_file_without_tenants_gets_one_with_the_demo_key():
    assert completed({}, LocalParts(state=STATE, demo_key="k"))["tenants"] == [
        {"name": "demo", "tier": "pro", "keys": ["k"]}
    ]
    assert has_demo_key({}, "")
    assert not has_demo_key(MIXED, "")
    assert has_demo_key(MIXED, "demo")


@pytest.mark.parametrize("change", [lambda document: completed(document, PARTS), without_triton])
def test_the_document_that_is_given_is_not_changed(change):
    before = copy.deepcopy(MIXED)
    change(MIXED)
    assert before == MIXED


def test_without_triton_what_only_it_serves_is_gone():
    rest = without_triton(MIXED)
    assert [upstream["name"] for upstream in rest["upstreams"]] == ["theirs", "remote"]
    assert rest["models"] == [
        {"name": "both", "candidates": ["remote/m"], "weights": {"remote/m": 3}},
        {"name": "far", "candidates": ["theirs/a"], "weights": {}},
    ]


@pytest.mark.parametrize(
    "document",
    [{"tenants": "x"}, {"upstreams": 3}, {"redis": "x"}, {"upstreams": [{"provider": "triton", "models": 3}]}],
)
def test_a_malformed_section_is_left_for_validation_to_name(document):
    completed(document, PARTS)
