"""`penstock ingest|search|knowledge|index`: what they say and do, before documents in memory."""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))
from knowledge_in_memory import KnowledgeInMemory  # noqa: E402

from penstock_common.configuration import Configuration  # noqa: E402
from penstock_common.rpc.in_process import InProcessChannel  # noqa: E402
from penstock_common.sql.database import open_database  # noqa: E402
from penstock_gateway.adapters.services.knowledge import KnowledgeClient  # noqa: E402
from penstock_gateway.adapters.sql.registry import SqlRegistry  # noqa: E402
from penstock_gateway.adapters.sql.schema import SCHEMAS  # noqa: E402
from penstock_gateway.app.administration import open_administration  # noqa: E402
from penstock_gateway.domain.administration.actor import Actor  # noqa: E402
from penstock_gateway.domain.knowledge.administration import KnowledgeAdministration  # noqa: E402
from penstock_gateway.settings import Settings  # noqa: E402
from penstock_gateway.surfaces.grpc.knowledge import KnowledgeServicer  # noqa: E402
from penstock_suite.adapters.admin_client import administration_over, method_of  # noqa: E402
from penstock_suite.adapters.document_files import found_files  # noqa: E402
from penstock_suite.surfaces.cli.index import index  # noqa: E402
from penstock_suite.surfaces.cli.ingest import ingest_command  # noqa: E402
from penstock_suite.surfaces.cli.knowledge import knowledge  # noqa: E402
from penstock_suite.surfaces.cli.search import search  # noqa: E402

DEMO = ("--tenant", "demo")


@pytest.fixture
def kept():
    return KnowledgeInMemory()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    """A SQLite file that has the schema: to copy it takes a fraction of what its making takes."""
    path = tmp_path_factory.mktemp("migrated") / "penstock.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        for schema in SCHEMAS:
            schema.upgrade_to(connection)
    engine.dispose()
    return path


@pytest.fixture
def settings(tmp_path, migrated):
    shutil.copy(migrated, tmp_path / "penstock.db")
    (tmp_path / "pepper").write_bytes(b"p" * 32)
    return Configuration(
        {
            "tenants": [{"name": "demo", "tier": {}}],
            "sql": f"sqlite:///{tmp_path}/penstock.db",
            "secrets": {"key_pepper_file": f"{tmp_path}/pepper"},
        }
    ).settings(Settings)


@pytest.fixture
def command(settings, kept):
    """A function that runs a command with its arguments, and returns what became of it."""
    channel, seconds = InProcessChannel(kept.service().handlers), timedelta(seconds=30)
    call = SimpleNamespace(seconds_left=lambda: None)

    @asynccontextmanager
    async def opened(asked):
        actor = Actor.at_the_command_line("ada")
        async with (
            open_administration(settings, actor) as servicers,
            open_database(settings.sql, settings.gateway.database_limits) as engine,
        ):
            client = KnowledgeClient(channel, seconds, seconds)
            administration = KnowledgeAdministration(client, settings.directory(), SqlRegistry(engine))
            served = servicers._replace(knowledge=KnowledgeServicer(administration, lambda _: actor))

            async def ask(method, request):
                return await method_of(served, method)(request, call)

            @asynccontextmanager
            async def follow(method, request):
                yield method_of(served, method)(request, call)

            yield administration_over(ask, follow)

    commands = {
        "ingest": ingest_command(opened, found_files),
        "search": search(opened),
        "knowledge": knowledge(opened),
        "index": index(opened),
    }

    def run(name, *arguments, data=None):
        return CliRunner().invoke(commands[name], [*map(str, arguments), *DEMO], input=data)

    return run


@pytest.fixture
def base(command):
    assert command("knowledge", "create", "guide").exit_code == 0
    return ("--base", "guide")


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "docs"
    (root / "sub").mkdir(parents=True)
    (root / "a.md").write_text("# Alpha\nThe beginning.")
    (root / "sub" / "b c.md").write_text("# Beta\nThe second.")
    return root


def told(result, code=0):
    assert result.exit_code == code, result.output
    return result.output


def report(result, code=0):
    return json.loads(told(result, code).splitlines()[-1])


def ids(kept):
    return sorted(kept.documents["demo", "guide"])


def puts(kept):
    return [request.id for request in kept.asked if type(request).__name__ == "PutDocumentRequest"]


def test_folder_is_taken_in_and_again_without_sending_anything(command, base, folder, kept):
    done = report(command("ingest", folder, *base, "--labels", "hr, it", "--attribute", "year:=2026", "--json"))
    assert (done["added"], done["left_out"]) == (["a.md", "sub:b%20c.md"], [])
    document = kept.documents["demo", "guide"]["sub:b%20c.md"][0]
    assert (document.filename, list(document.labels)) == ("sub/b c.md", ["hr", "it"])
    assert document.attributes[0].value.number == 2026
    sent = len(puts(kept))
    again = report(command("ingest", folder, *base, "--json"))
    assert (len(again["unchanged"]), again["added"], again["changed"]) == (2, [], [])
    assert len(puts(kept)) == sent
    # Without a word, what is replaced is found by those who found it.
    (folder / "a.md").write_text("# Alpha\nThe end.")
    assert report(command("ingest", folder, *base, "--json"))["replaced"] == ["a.md"]
    assert list(kept.documents["demo", "guide"]["a.md"][0].labels) == ["hr", "it"]
    assert report(command("ingest", folder, *base, "--labels", "", "--json"))["changed"] == ["a.md", "sub:b%20c.md"]
    assert not kept.documents["demo", "guide"]["a.md"][0].labels
    assert len(puts(kept)) == sent + 1


def test_dry_run_changes_nothing_and_prune_deletes_what_is_gone(command, base, folder, kept):
    planned = command("ingest", folder, *base, "--dry-run")
    assert told(planned) == "2 added, 0 unchanged; nothing has changed.\n"
    assert ids(kept) == []
    command("ingest", folder, *base)
    (folder / "a.md").unlink()
    assert report(command("ingest", folder, *base, "--prune", "--dry-run", "--json"))["pruned"] == ["a.md"]
    assert len(ids(kept)) == 2
    assert told(command("ingest", folder, *base, "--prune")) == "0 added, 1 unchanged, 1 pruned.\n"
    assert ids(kept) == ["sub:b%20c.md"]


def test_what_cannot_be_seen_prunes_nothing(command, base, folder, kept):
    command("ingest", folder, *base)
    (folder / "a.md").unlink()
    loop = folder / "sub" / "loop"
    loop.symlink_to(folder)
    refused = command("ingest", folder, *base, "--prune", "--follow-links")
    assert "nothing is pruned" in told(refused, 2)
    assert len(ids(kept)) == 2


def test_hidden_ignored_and_linked_files_stay_outside(command, base, folder, kept):
    (folder / ".gitignore").write_text("*.log\n!keep.log\nbuild/\n")
    (folder / ".secret").write_text("x")
    (folder / "x.log").write_text("x")
    (folder / "keep.log").write_text("kept")
    (folder / "build").mkdir()
    (folder / "build" / "out.md").write_text("x")
    (folder / "sub" / ".penstockignore").write_text("draft*\n")
    (folder / "sub" / "draft.md").write_text("x")
    (folder / "link.md").symlink_to("/etc/passwd")
    done = report(command("ingest", folder, *base, "--json"))
    assert ids(kept) == ["a.md", "keep.log", "sub:b%20c.md"]
    assert done["ignored"] == {"hidden": 3, "ignored": 3, "link": 1}
    more = report(command("ingest", folder, *base, "--json", "--hidden", "--no-ignore"))
    assert sorted(more["added"]) == [".secret", "build:out.md", "sub:draft.md", "x.log"]


def test_what_is_left_out_is_named_with_its_reason_and_ends_with_a_code_of_its_own(command, base, folder, kept):
    (folder / "broken.pdf").write_bytes(b"%BROKEN")
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder)
    done = report(command("ingest", folder, *base, "--follow-links", "--json"), 6)
    assert [(one["name"], one["reason"]) for one in done["left_out"]] == [
        ("loop", "loop"), ("pipe", "special"), ("broken.pdf", "broken"),
    ]  # fmt: skip
    assert (done["left_out"][2]["place"], len(done["added"])) == ("page 3", 2)
    shown = told(command("ingest", folder, *base), 6)
    assert "save it again" in shown
    assert "2 unchanged, 2 left out; 1 link." in shown
    # What failed is sent again.
    assert puts(kept).count("broken.pdf") == 2


def test_patterns_single_files_and_standard_input(command, base, folder, kept):
    assert report(command("ingest", f"{folder}/**/*.md", *base, "--json"))["added"] == ["a.md", "sub:b%20c.md"]
    assert report(command("ingest", folder / "a.md", *base, "--json"))["unchanged"] == ["a.md"]
    done = report(command("ingest", "-", *base, "--name", "notes.md", "--json", data="By hand."))
    assert done["added"] == ["notes.md"]
    assert kept.documents["demo", "guide"]["notes.md"][1] == b"By hand."
    for paths, words in (
        (["nowhere"], "no file or folder nowhere"),
        ([f"{folder}/*.pdf"], "no file is like"),
        (["-", folder], "standard input alone"),
        ([folder, "--attribute", "year"], "NAME=TEXT"),
    ):
        assert words in told(command("ingest", *paths, *base), 2)
    assert "penstock knowledge list" in told(command("ingest", folder, "--base", "none"), 3)


def test_two_files_of_one_id_are_told(command, base, folder, kept):
    other = folder / "sub" / "a.md"
    other.write_text("another")
    done = report(command("ingest", folder / "a.md", other, *base, "--json"), 6)
    assert (done["added"], done["left_out"][0]["reason"]) == (["a.md"], "same_id")


def test_name_that_is_no_utf8_has_an_id(command, base, folder, kept):
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.md")).write_text("odd")
    report(command("ingest", folder, *base, "--json"))
    assert "%FF.md" in ids(kept)


def test_search_shows_where_what_was_found_stands(command, base, folder):
    command("ingest", folder, *base)
    shown = told(command("search", "guide", "second", "--explain"))
    assert "1. sub/b c.md  1.000  guide/sub:b%20c.md@1" in shown
    assert "# Beta The second." in shown
    assert "version 1, m r, generation 1" in shown
    assert "Nothing is found" in told(command("search", "guide", "nothing like it"))
    assert "there is no 'magic'" in told(command("search", "guide", "x", "--mode", "magic"), 2)
    assert "--filter" in told(command("search", "guide", "x", "--filter", "{no"), 2)
    assert "no knowledge base" in told(command("search", "none", "x"), 3)


def test_filters_and_options_reach_the_service(command, base, kept):
    narrow = '{"any_of": [{"comparison": {"attribute": "n", "operator": "gte", "values": [{"number": 2}]}}]}'
    where = ("--filter", "kind=law", "--filter", "draft:=false", "--filter", narrow)
    told(command("search", "guide,guide", "x", "--mode", "rerank", "--limit", 7, "--labels", "hr", *where, "--json"))
    asked = kept.asked[-1]
    assert (asked.bases, asked.labels, asked.options.mode, asked.options.limit) == (
        ("guide",), ("hr",), "hybrid_rerank", 7,
    )  # fmt: skip
    kind, draft, number = asked.options.filter.all_of
    assert (kind.comparison.values[0].text, draft.comparison.values[0].flag) == ("law", False)
    assert number.any_of[0].comparison.operator == "gte"


def test_knowledge_is_listed_shown_and_taken_away(command, base, folder):
    assert "guide" in told(command("knowledge", "list"))
    assert "No documents" in told(command("knowledge", "documents", "guide"))
    command("ingest", folder, *base)
    assert "a.md" in told(command("knowledge", "documents", "guide"))
    shown = json.loads(told(command("knowledge", "document", "guide", "a.md", "--chunks", "--json")))
    assert shown["chunks"][0]["text"].startswith("# Alpha")
    assert "is deleted" in told(command("knowledge", "delete-document", "guide", "a.md"))
    assert "penstock knowledge documents guide" in told(command("knowledge", "delete-document", "guide", "a.md"), 3)
    assert "say --yes" in told(command("knowledge", "delete", "guide"), 2)
    assert "is deleted" in told(command("knowledge", "delete", "guide", "--yes"))
    assert "penstock knowledge create" in told(command("knowledge", "list"))
    assert "there is no 'paper'" in told(command("knowledge", "create", "x", "--splitter", "paper"), 2)


def test_index_is_built_switched_rolled_back_and_dropped(command, base, tmp_path):
    assert "Version 2 is being built" in told(command("index", "build", "guide", "--splitter", "markdown"))
    assert "Force it" in told(command("index", "switch", "guide", 2), 1)
    assert told(command("index", "switch", "guide", 2, "--force")) == "Version 2 serves.\n"
    listed = json.loads(told(command("index", "list", "guide", "--json")))
    assert [(one["number"], one["state"]) for one in listed] == [(2, "serving"), (1, "ready")]
    assert "not judged" in told(command("index", "list", "guide"))
    assert told(command("index", "rollback", "guide")) == "Version 1 serves.\n"
    assert "is deleted" in told(command("index", "drop", "guide", 2))
    assert "penstock index list guide" in told(command("index", "drop", "guide", 2), 3)
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"query": "q", "relevant": [{"document": "a.md", "grade": 3}]}\n\n')
    assert "1 questions are kept" in told(command("index", "evaluate", "guide", questions))
    questions.write_text('{"query": "q", "relevant": []}\n')
    assert "line 1" in told(command("index", "evaluate", "guide", questions), 2)


def test_without_a_stack_it_says_to_start_one(settings):
    @asynccontextmanager
    async def opened(asked):
        async with open_administration(settings, Actor.at_the_command_line("ada")) as servicers:

            async def ask(method, request):
                return await method_of(servicers, method)(request, None)

            yield administration_over(ask)

    refused = CliRunner().invoke(knowledge(opened), ["list", *DEMO])
    assert "start it with 'penstock up'" in told(refused, 1)
