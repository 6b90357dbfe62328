"""What is known of models: file over file, the configuration over all, and each part by its own place."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import yaml

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.datasheet.described import described
from penstock_common.datasheet.files import packaged_files, read_datasheet
from penstock_common.datasheet.sheet import Facts
from penstock_common.llm.types import UnitPrices
from penstock_inference.configured import catalogue_from
from penstock_inference.domain.catalogue import Capability
from penstock_inference.domain.model_facts import UNKNOWN_MODEL, ModelFacts
from penstock_inference.settings import Settings

ROOT = Path(__file__).parents[3]
USD = 10**9
KNOWN = """
models:
  - name: newest
    also: [cloud.newest, newest-2026-11-01]
    source: "A vendor's page, 2026-11"
    context_window: 1000
    capabilities: [chat, tools]
    price: {input: 4, cached_input: 0.2, output: 20, source: "Its prices, 2026-11"}
    price_ratios: {cache_write: 1.25, cache_write_1h: 2}
    service_tiers:
      batch: {input: 2, output: 10}
      flex: {input: 1}
    facts: {sampling: [], max_tokens_field: max_completion_tokens, tools_on_chat: no}
  - name: half-known
    source: "A vendor's page, 2026-11"
    price: {input: 10, cached_input: 0.25}
"""


@pytest.fixture
def sheet(tmp_path):
    """A function that writes a datasheet and returns its path."""

    def write(text=KNOWN, name="models.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def configuration(model, *sheets, provider="openai_compatible"):
    """Return a configuration with one model, given in YAML."""
    return described(
        Configuration.parse(
            f"datasheets: [{', '.join(map(str, sheets))}]\n"
            f"upstreams: [{{name: a, provider: {provider}, base_url: http://127.0.0.1:9/v1, models: [{model}]}}]\n",
            {},
            source="penstock.yaml",
        )
    )


def model_of(model, *sheets):
    """Return the one model as the inference service knows it."""
    (known,) = catalogue_from(configuration(model, *sheets).settings(Settings))
    return known


@pytest.mark.parametrize("name", ["newest", "cloud.newest", "newest-2026-11-01", "{base}"])
def test_a_model_that_is_known_needs_nothing_but_its_name(sheet, name):
    written = "{name: my-deployment, base_model: newest}" if name == "{base}" else f"{{name: {name}}}"
    model = model_of(written, sheet())
    assert (model.context_window_tokens, model.capabilities) == (1000, {Capability.CHAT, Capability.TOOLS})
    prices = model.prices
    assert (prices.input_nano_usd, prices.cached_input_nano_usd, prices.output_nano_usd) == (
        4 * USD,
        USD // 5,
        20 * USD,
    )
    assert (prices.cache_write_nano_usd, prices.cache_write_1h_nano_usd, prices.is_unknown) == (5 * USD, 8 * USD, False)
    assert (model.facts.sampling, model.facts.max_tokens_field) == (frozenset(), "max_completion_tokens")
    assert model.facts.tools_on_chat.value == "no"


def test_a_tier_with_a_whole_price_can_be_asked_for_and_no_other(sheet):
    assert {
        name: prices.input_nano_usd for name, prices in model_of("{name: newest}", sheet()).tier_prices.items()
    } == {"batch": 2 * USD}


def test_what_the_configuration_says_of_a_model_stands_over_the_sheet(sheet):
    said = "{name: newest, context_window: 9, capabilities: [chat], facts: {sampling: [stop]}, price: {input: 1, output: 2}}"
    model = model_of(said, sheet())
    assert (model.context_window_tokens, model.capabilities) == (9, {Capability.CHAT})
    assert (model.facts.sampling, model.facts.max_tokens_field) == (frozenset({"stop"}), "max_completion_tokens")
    # A price of its own is not mixed with another's figures; what follows from it does.
    prices = model.prices
    assert (prices.input_nano_usd, prices.cached_input_nano_usd, prices.cache_write_nano_usd) == (
        USD,
        USD,
        5 * USD // 4,
    )
    assert model.tier_prices == {}


def test_a_price_of_nothing_is_known_and_free(sheet):
    assert model_of("{name: newest, price: {input: 0, output: 0}}", sheet()).prices == UnitPrices()


def test_a_price_that_is_not_whole_is_not_known_until_it_is_completed(sheet):
    assert model_of("{name: half-known, context_window: 9}", sheet()).prices.is_unknown
    prices = model_of("{name: half-known, context_window: 9, price: {output: 30}}", sheet()).prices
    assert (prices.input_nano_usd, prices.cached_input_nano_usd, prices.output_nano_usd) == (
        10 * USD,
        USD // 4,
        30 * USD,
    )


def test_a_model_that_nobody_knows_has_no_price_and_takes_everything():
    model = model_of("{name: nobody-knows-it, context_window: 9}")
    assert model.prices.is_unknown
    assert msgspec.structs.replace(model.facts, json_schema=True) == UNKNOWN_MODEL


@pytest.mark.parametrize("name", ["nobody-knows-it", "claude-sonnet-4-5", "claude-opus-4-7"])
def test_what_is_a_capability_is_said_there_alone_and_the_facts_follow(name):
    for capabilities in ("[chat]", "[chat, prefill]", "[chat, json_schema]", "[chat, prefill, json_schema]"):
        model = model_of(f"{{name: {name}, context_window: 9, capabilities: {capabilities}}}")
        assert model.facts.prefill is (Capability.PREFILL in model.capabilities) is ("prefill" in capabilities)
        assert model.facts.json_schema is (Capability.JSON_SCHEMA in model.capabilities) is ("json_" in capabilities)
        assert model.facts.is_known is (name != "nobody-knows-it")


def test_a_server_of_ones_own_bills_nothing():
    own = configuration("{name: m, context_window: 9}", provider="vllm").settings(Settings)
    (model,) = catalogue_from(own)
    assert (model.prices.is_unknown, model.prices.output_nano_usd) == (False, 0)


def test_a_later_sheet_completes_and_overrides_an_earlier_one(sheet):
    later = sheet(
        "models: [{name: newest, source: ours, context_window: 2000, facts: {sampling: [stop]}, price: {output: 21}}]",
        "later.yaml",
    )
    for name in ("newest", "cloud.newest"):
        model = model_of(f"{{name: {name}}}", sheet(), later)
        assert (model.context_window_tokens, model.facts.sampling) == (2000, {"stop"})
        assert model.facts.max_tokens_field == "max_completion_tokens"
        assert (model.prices.input_nano_usd, model.prices.output_nano_usd) == (4 * USD, 21 * USD)


def test_an_unknown_key_is_a_fault_with_its_line(sheet):
    path = sheet("models:\n  - name: m\n    source: s\n    facts:\n      samplin: []\n")
    with pytest.raises(ConfigurationError, match=rf"{path}:5: unknown key 'models\[0\].facts.samplin'.*'sampling'"):
        configuration("{name: m, context_window: 9}", path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("models: [{name: m}]", "'models[0].source' is missing"),
        ("models: [{name: m, source: s}, {name: n, also: [m], source: s}]", "the model 'm' is in this file twice"),
        ("models: [{name: m, source: s, capabilities: [fly]}]", "one of chat, tools"),
        ("models: [{name: m, source: s, price: {input: -1}}]", "at least 0"),
        ("model: []", "unknown section 'model'"),
        ("[]", "mapping"),
    ],
)
def test_a_sheet_that_says_nonsense_is_refused(sheet, text, told):
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        configuration("{name: m, context_window: 9}", sheet(text))


def test_a_sheet_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"gone\.yaml: No such file"):
        configuration("{name: m, context_window: 9}", tmp_path / "gone.yaml")


def test_a_fault_in_what_a_sheet_says_is_told_at_the_sheet(sheet):
    found = configuration("{name: newest}", path := sheet()).fault(("upstreams", 0, "models", 0, "context_window"), "x")
    assert (found.file, found.line) == (str(path), 6)


def test_what_the_configuration_says_wrongly_is_left_to_who_reads_it(sheet):
    for wrong in ("price: 5", "price: {input: x, output: 1}", "facts: 7", "service_tiers: []", "capabilities: 3"):
        with pytest.raises(ConfigurationError, match=r"upstreams\[0\]\.models\[0\]"):
            configuration(f"{{name: newest, {wrong}}}", sheet()).settings(Settings)
    described(Configuration.parse("upstreams: [5, {models: 7}, {models: [8]}]", {}))


def test_an_edit_of_a_sheet_is_another_revision(sheet):
    before = configuration("{name: newest}", sheet()).revision
    assert configuration("{name: newest}", sheet()).revision == before
    assert configuration("{name: newest}", sheet(KNOWN.replace("1000", "1001"))).revision != before


def test_the_revision_without_sheets_is_that_of_the_file():
    parsed = Configuration.parse("upstreams: []", {})
    assert described(parsed).revision == parsed.revision


# What Penstock brings


def test_the_sheets_that_penstock_brings_are_valid_and_show_their_sources():
    known = read_datasheet()
    assert len(known.names) > 20
    for name in known.names:
        found = known.find(name)
        assert found is not None
        assert all(found.sources.values())
        price = found.said.get("price")
        assert price is None or price["source"], name


def test_deploy_shows_the_sheets_that_the_package_brings():
    shown = sorted((ROOT / "deploy" / "models").glob("*.yaml"))
    assert [path.resolve() for path in shown] == [path.resolve() for path in packaged_files()]
    assert shown


def test_no_models_name_stands_in_code():
    names = read_datasheet().all_names
    code = [
        path
        for folder in ("services", "libs")
        for path in (ROOT / folder).rglob("*.py")
        if not {"build", ".venv", "site-packages"} & {*path.parts}
    ]
    assert len(code) > 100
    told = {name: str(path) for path in code for name in names if name in path.read_text()}
    assert told == {}


def test_each_fact_can_be_said_in_a_sheet():
    of_capabilities = {"prefill", "json_schema"}
    assert {*Facts.model_fields} | of_capabilities | {"is_known"} == {*ModelFacts.__struct_fields__}


def test_prices_are_exact_decimals():
    for path in packaged_files():
        for entry in yaml.safe_load(path.read_text())["models"]:
            for name, usd in (entry.get("price") or {}).items():
                if name not in ("source", "steps"):
                    assert (Decimal(str(usd)) * USD) % 1 == 0, (path, entry["name"])


def test_what_the_page_shows_is_a_sheet_and_a_configuration(sheet):
    page = (ROOT / "docs" / "models.md").read_text()
    written, shown = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    model = model_of("{name: cloud.newest-2}", sheet(shown))
    assert (model.prices.cache_write_1h_nano_usd, [step.above_input_tokens for step in model.price_steps[""]]) == (
        8 * USD,
        [200_000],
    )
    assert model.facts.tools_on_chat.value == "no"
    text = written.replace("/etc/penstock/models.yaml", str(sheet(shown))).replace("${AZURE_KEY}", "k")
    (deployment,) = catalogue_from(described(Configuration.parse(text, {})).settings(Settings))
    # What it knows of the base model, and what is said beside it.
    assert deployment.prices.cache_write_nano_usd == 5 * USD // 2
    assert (deployment.facts.sampling_without_effort, deployment.facts.default_effort) == (True, "none")
