"""`penstock prompts`: what its commands say and write, over a database of its own."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest
from typer.testing import CliRunner

from penstock_common.configuration import Configuration
from penstock_gateway.app.administration import open_administration
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.settings import Settings
from penstock_suite.adapters.admin_client import administration_over, method_of
from penstock_suite.surfaces.cli.prompts import prompts as prompt_commands

GREET = """
model: fast
sampling: {temperature: 0.5, stop: [x]}
messages:
- system: Be {{tone}}.
- user: |
    Hello {{who}}, {{n}} times.
variables:
  tone: {type: enum, values: [kind, brief], default: kind}
  who: {max_length: 20, description: A name}
  n: {type: integer, required: false}
note: the first
"""


@pytest.fixture
def command(tmp_path):
    """A function that runs `penstock prompts` with the arguments, and returns what became of it."""
    (tmp_path / "pepper").write_bytes(b"p" * 32)
    settings = Configuration(
        {
            "models": [{"name": "fast", "candidates": ["first/m1"]}],
            "tenants": [{"name": "demo", "tier": {}}],
            "sql": f"sqlite:///{tmp_path}/penstock.db",
            "secrets": {"key_pepper_file": f"{tmp_path}/pepper"},
        }
    ).settings(Settings)

    @asynccontextmanager
    async def opened(asked):
        async with open_administration(settings, Actor.at_the_command_line("ada")) as servicers:

            async def ask(method, request):
                return await method_of(servicers, method)(request, None)

            yield administration_over(ask)

    def run(*arguments, text=None):
        return CliRunner().invoke(prompt_commands(opened), list(map(str, arguments)), input=text)

    return run


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "greet.yaml"
    path.write_text(GREET)
    return path


def told(result):
    assert result.exit_code == 0, result.output
    return result.output


def test_prompt_is_made_used_moved_and_taken_away(command, file):
    made = command("create", "greet", file, "--tenant", "demo", "--label", "production")
    assert told(made) == "greet@1 is made, which production points to.\n"
    changed = GREET.replace("Be {{tone}}.", "Always be {{tone}}.")
    assert told(command("create", "greet", "-", "--tenant", "demo", text=changed)) == "greet@2 is made.\n"
    rendered = command("render", "greet", "--tenant", "demo", "--var", "who=Ada=Eve", "--var", "n:=3")
    assert told(rendered) == "[system]\nBe kind.\n[user]\nHello Ada=Eve, 3 times.\n\n"
    diff = told(command("diff", "greet", 1, "--tenant", "demo"))
    assert {"--- greet@1", "+++ greet@2", "-Be {{tone}}.", "+Always be {{tone}}."} <= set(diff.splitlines())
    moved = command("label", "greet", "production", 2, "--tenant", "demo")
    assert told(moved) == "production of greet points to version 2.\n"
    assert told(command("rollback", "greet", "--tenant", "demo")) == "production of greet points to version 1.\n"
    (row,) = json.loads(told(command("list", "--tenant", "demo", "--json")))
    assert (row["name"], row["newest_version"], row["labels"]) == ("greet", 2, {"production": 1})
    assert "is deleted" in told(command("delete", "greet", "--tenant", "demo"))
    assert "No prompts yet" in told(command("list", "--tenant", "demo"))
    assert "deleted" in told(command("list", "--tenant", "demo", "--archived"))


def test_what_is_shown_is_what_can_be_made_again(command, file):
    command("create", "greet", file, "--tenant", "demo", "--label", "production")
    shown = command("show", "greet", "--tenant", "demo", "--json")
    version = json.loads(told(shown))
    assert (version["version"], version["created_by"], version["draft"]["note"]) == (1, "ada", "the first")
    yaml = command("show", "greet", "--tenant", "demo").stdout
    assert told(command("create", "greet", "-", "--tenant", "demo", text=yaml)) == "greet@2 is made.\n"
    assert "say the same" in told(command("diff", "greet", 1, 2, "--tenant", "demo"))


@pytest.mark.parametrize(
    ("arguments", "text", "words"),
    [
        (("create", "greet", "-"), "messages: []", "template.messages must hold at least one"),
        (("create", "greet", "-"), "messages: [{user: x}]\nlabel: x", "label"),
        (("create", "greet", "-"), "messages: [{tool: x}]", "messages[0] must be one of system, user, assistant"),
        (("create", "greet", "-"), "messages: [{user: '{{x}}'}]\nvariables: {x: {type: text}}", "there is no 'text'"),
        (("create", "greet", "-"), "messages: [{user: x}]\nsampling: {temprature: 1}", "temprature"),
        (("create", "greet", "-"), "messages: [", "-"),
        (("create", "greet", "missing.yaml"), None, "missing.yaml cannot be read"),
        (("render", "greet", "--var", "x"), None, "neither NAME=TEXT nor NAME:=JSON"),
        (("render", "greet", "--var", "x:={"), None, "is no JSON"),
        (("show", "greet"), None, "There is no prompt 'greet': see 'penstock prompts list'"),
    ],
)
def test_what_cannot_be_done_is_said(command, arguments, text, words):
    failed = command(*arguments, "--tenant", "demo", text=text)
    assert failed.exit_code != 0
    assert words in " ".join(failed.output.split())


def test_whose_prompts_must_be_said(command):
    failed = command("list")
    assert failed.exit_code != 0
    assert "--tenant must be named" in " ".join(failed.output.split())
