"""What `penstock config init` writes can be used, and the reference of every key is complete and current."""

import re
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from penstock_inference.adapters.providers.registry import PROVIDERS
from penstock_suite.adapters.examples import examples
from penstock_suite.app.check import settings_type, verdict
from penstock_suite.app.reference import reference, sections, undescribed
from penstock_suite.domain.example import example_configuration
from penstock_suite.domain.requests import Role, Selection
from penstock_suite.settings import Document

ROOT = Path(__file__).parents[3]
EXAMPLES = examples()


def configured(providers, path="penstock.yaml"):
    """Return the file for these providers."""
    return example_configuration([EXAMPLES[name] for name in providers], path, has_weights=False)


def test_there_is_an_example_for_every_provider():
    assert set(EXAMPLES) == set(PROVIDERS)


@pytest.mark.parametrize(
    "providers", [*combinations(EXAMPLES, 1), *combinations(EXAMPLES, 2), (*EXAMPLES, *EXAMPLES)], ids="+".join
)
def test_an_example_can_be_used_without_a_warning_once_its_keys_are_there(providers, tmp_path, monkeypatch):
    for example in EXAMPLES.values():
        if example.variable:
            monkeypatch.setenv(example.variable, "sk-of-somebody")
    path = tmp_path / "penstock.yaml"
    path.write_text(configured(providers))
    found = verdict(Selection(config=path, state=tmp_path / "state"))
    assert (found.faults, found.warnings) == ((), ())


def test_an_example_without_its_key_says_which_and_where(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    path = tmp_path / "penstock.yaml"
    path.write_text(configured(["openai"]))
    (fault,) = verdict(Selection(config=path, state=tmp_path / "state")).faults
    assert "OPENAI_API_KEY is not set" in fault.message
    assert "api_key" in path.read_text().splitlines()[fault.line - 1]


@pytest.mark.parametrize("path", sorted((ROOT / "deploy/examples").glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_of_the_deployment_can_be_used(path, tmp_path, monkeypatch):
    for name in re.findall(r"\$\{([A-Z_]+)\}", path.read_text()):
        monkeypatch.setenv(name, "sk-of-somebody-else")
    found = verdict(Selection(config=path, state=tmp_path / "state"))
    assert (found.faults, found.warnings) == ((), ())


def test_an_example_is_commented_and_says_how_to_change_the_port():
    text = configured(["triton"], "mine.yaml")
    assert "penstock up --config mine.yaml" in text
    assert "another port" in text
    assert yaml.safe_load(text)["listen"]["http"] == "127.0.0.1:8080"


def test_every_key_has_a_meaning():
    assert undescribed() == []


def test_the_reference_has_every_section_and_its_keys():
    found = sections()
    assert list(found) == list(Document.model_fields)
    entries = {entry.key: entry for section in found.values() for entry in section}
    assert entries["listen.http"].default == "`127.0.0.1:8080`"
    assert entries["gateway.unary_timeout"].kind == "duration"
    assert entries["upstreams[].models[].context_window"].default == "required"
    assert entries["upstreams[].api_key"].kind == "secret"
    assert entries["tenants[].tier.requests_per_minute"].kind == "whole number, ≥ 0, ≤ 1000000000000"
    assert entries["upstreams[].grpc"].meaning.startswith("Of the provider triton: ")
    assert "mode" in entries["cache.mode"].key


@pytest.mark.parametrize("role", Role)
def test_the_file_may_have_every_section_that_a_role_reads(role):
    assert set(settings_type(role).model_fields) <= set(Document.model_fields)


def test_the_page_of_the_reference_is_current():
    assert (ROOT / "docs/configuration.md").read_text() == reference(), "run tools/gen_configuration_docs.py"


def test_no_kind_and_no_default_is_a_word_of_the_program():
    rows = [line.split(" | ") for line in reference().splitlines() if line.startswith("| `")]
    assert ["`refuse`, `drop`, `pass`", "`refuse`"] in [row[1:3] for row in rows]
    assert [row for row in rows if re.search(r"[A-Z]\w+\.[A-Z]", row[2])] == []
