"""The page of errors is what the contract and the code say."""

import importlib.util
import sys
from pathlib import Path

import pytest

from penstock_gateway.surfaces.wire_formats.openai import errors as openai_errors

ROOT = Path(__file__).parents[3]


@pytest.fixture
def generator(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("gen_error_docs", ROOT / "tools/gen_error_docs.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gen_error_docs", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "PAGE", tmp_path / "errors.md")
    monkeypatch.setattr(module, "PROTO", tmp_path / "error_reason.proto")
    module.PROTO.write_text((ROOT / "proto/penstock/errors/v1/error_reason.proto").read_text())
    return module


@pytest.fixture
def run(generator, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gen_error_docs.py", *arguments])
        return generator.main()

    return run


def test_the_committed_page_is_up_to_date(run, generator):
    assert run() == 0
    assert (ROOT / "docs/errors.md").read_text() == generator.PAGE.read_text()


def test_every_code_that_a_caller_is_sent_is_on_the_page():
    page = (ROOT / "docs/errors.md").read_text()
    sent = {form.code for form in openai_errors._FORMS.values()} - {None}
    assert {"budget_exceeded", "budget_reserved"} < sent
    assert {code for code in (*sent, "enforced_spend_limit_reached") if f"`{code}`" not in page} == set()


def test_a_page_that_is_missing_or_changed_is_reported_and_left_alone(run, generator, capsys):
    assert run("--check") == 1
    assert not generator.PAGE.exists()
    assert run() == 0
    assert run("--check") == 0
    generator.PAGE.write_text("changed by hand")
    assert run("--check") == 1
    assert generator.PAGE.read_text() == "changed by hand"
    assert "errors.md is not what the contract and the code say" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("// NOT_FOUND. metadata", "// ABORTED. metadata", "MODEL_NOT_FOUND: the contract says ABORTED"),
        (", with QuotaFailure and RetryInfo", ", with QuotaFailure", "RATE_LIMITED: the contract says"),
        ("// UNAUTHENTICATED.", "// Who knows", "the comment of INVALID_CREDENTIALS does not begin with a status"),
        ("ERROR_REASON_NOT_CACHED", "ERROR_REASON_TOO_OLD", "TOO_OLD is not in the generated code"),
        ("  ERROR_REASON_NOT_CACHED = 16;\n", "\n", "advises on NOT_CACHED"),
    ],
)
@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_a_contract_that_says_something_else_than_the_code_is_reported(
    run, generator, capsys, old, new, message, arguments
):
    text = generator.PROTO.read_text()
    assert old in text
    generator.PROTO.write_text(text.replace(old, new))
    assert run(*arguments) == 1
    assert message in capsys.readouterr().out
