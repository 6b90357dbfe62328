"""What `penstock models show` tells, and what `penstock config check` says of prices."""

from __future__ import annotations

import pytest

from penstock_suite.app.check import verdict
from penstock_suite.app.model_sheets import known_models, model_sheets
from penstock_suite.domain.failure import NotThere
from penstock_suite.domain.requests import Role, Selection

SHEET = """\
models:
  - name: newest
    also: [cloud.newest]
    source: A page
    price: {input: 4, output: 20, source: Its prices}
    price_ratios: {cache_write: 1.25}
    facts: {sampling: []}
  - name: half
    source: A page
    price: {input: 4}
"""
TEXT = """\
datasheets: [SHEET]
upstreams:
  - name: far
    provider: openai_compatible
    base_url: http://127.0.0.1:9/v1
    models:
      - {name: mine, base_model: newest, context_window: 9, facts: {documents: false}}
      - {name: neest, context_window: 9}
      - {name: half, context_window: 9}
  - name: own
    provider: vllm
    base_url: http://127.0.0.1:9/v1
    models: [{name: served, context_window: 9}]
models: [{name: fast, candidates: [far/mine, far/neest, far/half, own/served]}]
tenants: [{name: demo, tier: pro}]
"""


@pytest.fixture
def selection(tmp_path):
    (tmp_path / "sheet.yaml").write_text(SHEET)
    path = tmp_path / "penstock.yaml"
    path.write_text(TEXT.replace("SHEET", str(tmp_path / "sheet.yaml")))
    return Selection(config=path, state=tmp_path / "state")


def lines_of(sheet):
    """Return each line's value, the file's name and line that it is said at, and its source, by key."""
    return {line.key: (line.value, line.said_at.rpartition("/")[2], line.source) for line in sheet.lines}


@pytest.mark.parametrize("name", ["far/mine", "mine"])
def test_a_configured_model_is_shown_with_what_stands_over_the_sheet(selection, name):
    (sheet,) = model_sheets(selection, name)
    assert (sheet.name, sheet.candidate, sheet.also, sheet.price_is_known) == (
        "newest",
        "far/mine",
        ("cloud.newest",),
        True,
    )
    assert lines_of(sheet) == {
        "context_window": (9, "penstock.yaml:7", ""),
        "price.input": (4, "sheet.yaml:5", "Its prices"),
        "price.output": (20, "sheet.yaml:5", "Its prices"),
        "price.cache_write": ("5", "sheet.yaml:6", "Its prices"),
        "facts.sampling": ([], "sheet.yaml:7", "A page"),
        "facts.documents": (False, "penstock.yaml:7", ""),
    }


def test_a_public_name_shows_all_its_candidates(selection):
    sheets = model_sheets(selection, "fast")
    assert [(sheet.candidate, sheet.price_is_known) for sheet in sheets] == [
        ("far/mine", True),
        ("far/neest", False),
        ("far/half", False),
        ("own/served", True),
    ]


def test_a_name_of_the_datasheet_is_shown_by_any_of_its_names(selection):
    (sheet,) = model_sheets(selection, "cloud.newest")
    assert (sheet.name, sheet.candidate) == ("newest", "")
    assert "newest" in known_models(selection)


def test_a_name_that_nobody_knows_is_told_with_the_nearest(selection):
    with pytest.raises(NotThere, match="'newst'; the nearest are 'newest'") as caught:
        model_sheets(selection, "newst")
    assert caught.value.exit_code == 3


def test_the_check_names_models_that_nobody_prices_with_the_nearest_name(selection):
    for found in (verdict(selection), verdict(selection, Role.INFERENCE)):
        told = {warning.key: warning.message for warning in found.warnings}
        assert set(told) == {"upstreams[0].models[1].price", "upstreams[0].models[2].price"}
        assert "the nearest is 'newest'" in told["upstreams[0].models[1].price"]
        assert "not its whole price" in told["upstreams[0].models[2].price"]


def test_a_base_model_that_the_datasheet_does_not_have_is_named_with_the_nearest(selection):
    text = selection.config.read_text().replace("base_model: newest", "base_model: newst")
    selection.config.write_text(text)
    for found in (verdict(selection), verdict(selection, Role.INFERENCE)):
        warning = found.warnings[0]
        assert (found.is_good, warning.key, warning.line) == (True, "upstreams[0].models[0].base_model", 7)
        assert "the nearest is 'newest'" in warning.message


def test_what_is_shown_is_what_takes_effect(selection):
    shown = verdict(selection, show=True).settings
    assert shown is not None
    (mine, *_) = shown["upstreams"][0]["models"]
    assert (mine["price"]["input"], mine["price"]["cache_write"], mine["facts"]) == (
        "4",
        "5",
        {"sampling": [], "documents": False},
    )
