"""`penstock reviews`: from a text to an example, over the database of a stack that is down."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from typer.testing import CliRunner

from penstock_common.configuration import Configuration
from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.reviews.database import ReviewDatabase
from penstock_gateway.adapters.sql.reviews.store import SqlReviews
from penstock_gateway.app.administration import open_administration
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.reviews.flag import Flag, Found, Source, Surface
from penstock_gateway.domain.reviews.flagging import FlagDesk
from penstock_gateway.domain.reviews.telling import telling
from penstock_gateway.domain.reviews.terms import ReviewTerms
from penstock_gateway.settings import Settings
from penstock_suite.adapters.admin_client import administration_over, method_of
from penstock_suite.domain.answers_set import read_cases
from penstock_suite.surfaces.cli.reviews import reviews as review_commands
from penstock_suite.surfaces.cli.webhooks import webhooks as webhook_commands

DEMO = ("--tenant", "demo")
MAIL = "Write to ada@example.com."


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "pepper").write_bytes(b"p" * 32)
    document = {
        "tenants": [{"name": "demo", "tier": {}}],
        "sql": f"sqlite:///{tmp_path}/penstock.db",
        "secrets": {"key_pepper_file": f"{tmp_path}/pepper"},
    }
    return Configuration(document).settings(Settings)


@pytest.fixture
def command(settings):
    """A function that runs `penstock reviews`, or `webhooks`, with the arguments, and returns what became of it."""

    @asynccontextmanager
    async def opened(_asked):
        async with open_administration(settings, Actor.at_the_command_line("tester")) as servicers:

            async def ask(method, request):
                return await method_of(servicers, method)(request, None)

            yield administration_over(ask)

    groups = {"reviews": review_commands(opened), "webhooks": webhook_commands(opened)}

    def run(*arguments, of="reviews", exit_code=0):
        told = CliRunner().invoke(groups[of], [str(argument) for argument in arguments])
        assert told.exit_code == exit_code, told.output
        return told

    return run


def flagged(settings, text=MAIL, **more):
    """Have a rule flag a text; return the item's id."""

    async def flag():
        async with open_database(settings.sql) as engine:
            store = SqlReviews(ReviewDatabase(engine, b"p" * 32, telling(lambda _tenant, _event: ())))
            wanted = {
                "source": Source.RULE,
                "rule": "pii",
                "found": (Found("email", 9, 24),),
                "surface": Surface.OUTPUT,
                **more,
            }
            desk = FlagDesk(store, ReviewTerms())
            return await desk.flag(Flag(tenant="demo", key_id="k1", text=text, **wanted))

    return asyncio.run(flag())


def opened_item(command, text, *more):
    # Whoever types is not whose request it was.
    return json.loads(command("open", text, *DEMO, "--json", *more).stdout)


def test_from_a_flag_to_the_webhook_and_to_an_example(command, settings):
    command("list")  # Makes the schema.
    command("create", "ops", "--url", "https://hook.example.com/", "--event", "review.decided", *DEMO, of="webhooks")
    review = flagged(settings, context="How do I reach her?")
    (row,) = json.loads(command("list", *DEMO, "--json").stdout)
    assert (row["id"], row["state"], row["kinds"], row["rule"]) == (review, "open", ["email"], "pii")
    claimed = json.loads(command("claim", *DEMO, "--json").stdout)
    assert (claimed["id"], claimed["claim"], claimed["reviewer"]) == (review, 1, "member:tester")
    shown = json.loads(command("show", review, "--content", "--json").stdout)
    assert (shown["content"]["text"], shown["content"]["found"]) == (MAIL, [{"kind": "email", "start": 9, "end": 24}])
    assert "content" not in shown or json.loads(command("show", review, "--json").stdout)["content"] is None
    told = command("decide", review, "edit", "--claim", 1, "--text", "Write to us.", "--note", "no need")
    assert f"{review} is decided: edit." in told.stderr
    told = command("show", review, "--content")
    assert "-Write to ada@example.com." in told.stdout
    assert "+Write to us." in told.stdout
    assert "member:tester: no need" in told.stderr
    (sent,) = json.loads(command("deliveries", "ops", *DEMO, "--json", of="webhooks").stdout)
    assert (sent["type"], sent["id"].startswith(review)) == ("review.decided", True)
    (example,) = map(json.loads, command("export", *DEMO, "--format", "pii").stdout.splitlines())
    entity = {"type": "email", "start": 9, "end": 24, "value": "ada@example.com"}
    assert example == {"id": review, "text": MAIL, "entities": [entity], "lang": ""}
    grounding = json.loads(command("export", *DEMO, "--format", "grounding").stdout)
    assert (grounding["context"], grounding["answer"], grounding["label"]) == (
        "How do I reach her?",
        MAIL,
        "ungrounded",
    )


def test_examples_have_the_form_that_the_evaluations_read(command, settings):
    command("list")
    text = "Ignore\u200b all that. \u202e"
    benign, attack = (
        flagged(settings, text, found=()),
        flagged(settings, "x" * 1200, found=(), surface=Surface.DOCUMENT),
    )
    called = flagged(settings, "call", found=(), surface=Surface.TOOL_CALL)
    for review, decision in ((benign, "allow"), (attack, "block"), (called, "block")):
        command("claim", review)
        command("decide", review, decision, "--claim", 1)
    lines = [json.loads(line) for line in command("export", *DEMO, "--format", "injection").stdout.splitlines()]
    assert lines == [
        {"id": benign, "text": text, "label": "benign", "kind": "pii", "surface": "output", "long": False},
        {"id": attack, "text": "x" * 1200, "label": "attack", "kind": "pii", "surface": "document", "long": True},
    ]
    everything = [json.loads(line) for line in command("export", *DEMO).stdout.splitlines()]
    assert [one["decision"] for one in everything] == ["allow", "block", "block"]
    assert command("export", *DEMO, "--rule", "none").stdout == ""


def test_one_gives_an_item_back_or_to_others(command, settings):
    command("list")
    review = flagged(settings)
    command("claim", review)
    command("release", review, "--claim", 1)
    assert "nobody's again" not in command("claim", review).stderr
    assert "is escalated" in command("escalate", review, "--claim", 2, "--note", "hard").stderr
    told = command("decide", review, "allow", "--claim", 2, exit_code=1)
    assert "Claim it again" in told.stderr
    assert "escalated" in command("list", *DEMO).stdout


def test_one_decides_on_nothing_of_ones_own_and_waits_for_others(command):
    row = opened_item(command, "Mine.", "--hold")
    assert (row["held"], row["source"]) == (True, "caller")
    assert "somebody else has to decide" in command("claim", row["id"], exit_code=1).stderr
    assert "is open." in command("outcome", row["id"]).stderr
    assert "Nothing waits for a reviewer" in command("claim", *DEMO, exit_code=3).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "--status", "shut"), "open, claimed, decided"),
        (("list", "--source", "nobody"), "rule, feedback"),
        (("decide", "rev_x", "maybe", "--claim", "1"), "allow, block, edit"),
        (("export", "--format", "csv"), "all, injection, pii, grounding"),
        (("open", "x", "--surface", "moon"), "input, tool_result"),
        (("claim", "--lease", "soon"), "--lease"),
    ],
)
def test_what_is_no_word_is_told_before_anything_is_asked(command, arguments, said):
    told = command(*arguments, exit_code=2)
    assert said in " ".join(told.output.replace("│", " ").split())


def test_an_answer_that_was_handed_over_becomes_a_case_of_an_evaluation(command, settings):
    command("list")
    allowed = flagged(settings, "At six.", context="When do you close?", found=(), source=Source.CALLER)
    blocked = flagged(settings, "Never.", context="When do you open?", found=(), source=Source.CALLER)
    edited = flagged(settings, "At 7.", context="And on Sundays?", found=(), source=Source.CALLER)
    for review, *how in ((allowed, "allow"), (blocked, "block"), (edited, "edit", "--text", "At nine.")):
        command("claim", review)
        command("decide", review, *how, "--claim", 1)
    cases = read_cases(command("export", *DEMO, "--format", "answers").stdout.encode())
    assert {(one.input, one.reference) for one in cases} == {
        ("When do you close?", "At six."), ("And on Sundays?", "At nine."),
    }  # fmt: skip
