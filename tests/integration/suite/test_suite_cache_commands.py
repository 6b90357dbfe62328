"""`penstock cache`: what its commands say and write, over the gateway's administration and a real cache."""

from __future__ import annotations

import json
import stat
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent.parent / "gateway"))
from entries_world import RealCache  # noqa: E402

import penstock_router.app  # noqa: E402
import penstock_router.settings  # noqa: E402
from penstock_common.configuration import Configuration  # noqa: E402
from penstock_common.contract.cache import Stats  # noqa: E402
from penstock_common.rpc.in_process import InProcessChannel  # noqa: E402
from penstock_common.sql.schema import open_current_database  # noqa: E402
from penstock_gateway.adapters.services.cache import CacheClient  # noqa: E402
from penstock_gateway.adapters.services.cache_entries import CacheEntriesClient  # noqa: E402
from penstock_gateway.adapters.services.models import RouterClient  # noqa: E402
from penstock_gateway.adapters.sql.registry import SqlRegistry  # noqa: E402
from penstock_gateway.adapters.sql.schema import GATEWAY  # noqa: E402
from penstock_gateway.app.administration import keyring_of  # noqa: E402
from penstock_gateway.domain.administration.actor import Actor  # noqa: E402
from penstock_gateway.domain.administration.administration import Administration, CachePorts  # noqa: E402
from penstock_gateway.domain.administration.upstreams import NoUpstreams  # noqa: E402
from penstock_gateway.settings import Settings  # noqa: E402
from penstock_gateway.surfaces.grpc.admin import AdminServicer  # noqa: E402
from penstock_suite.adapters.admin_client import administration_over  # noqa: E402
from penstock_suite.surfaces.cli.cache import cache as cache_commands  # noqa: E402

ROW = {"question": "How do I reset my password?", "answer": "Open the settings.", "tags": ["faq"]}
PATIENCE = timedelta(seconds=60)
ROWS = 130
"""More than one request takes."""


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    cache = RealCache(tmp_path_factory.mktemp("cache"))
    yield cache
    cache.close()


@pytest.fixture
def kept(standing):
    """The cache service, empty."""
    standing.empty()
    return standing


@pytest.fixture
def command(kept, tmp_path):
    """A function that runs `penstock cache` with the arguments, and returns what became of it."""
    (tmp_path / "pepper").write_bytes(b"p" * 32)
    model = {"name": "m1", "context_window": 8000, "capabilities": ["chat"], "price": {"input": 1, "output": 2}}
    upstream = {"name": "first", "provider": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "api_key": "x"}
    configuration = Configuration(
        {
            "upstreams": [{**upstream, "models": [model]}],
            "models": [{"name": "fast", "candidates": ["first/m1"]}],
            "tenants": [{"name": "demo", "tier": {}}],
            "sql": f"sqlite:///{tmp_path}/penstock.db",
            "secrets": {"key_pepper_file": f"{tmp_path}/pepper"},
        }
    )
    settings = configuration.settings(Settings)

    @asynccontextmanager
    async def opened(_asked):
        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(
                open_current_database(settings.sql, settings.gateway.database_limits, GATEWAY, upgrades_schema=True)
            )
            routing = configuration.settings(penstock_router.settings.Settings)
            router = await stack.enter_async_context(penstock_router.app.build(routing))
            channel = InProcessChannel(kept.handlers())
            ports = CachePorts(
                CacheClient(channel, PATIENCE, PATIENCE),
                CacheEntriesClient(channel),
                RouterClient(InProcessChannel(router.handlers), PATIENCE),
            )
            administration = Administration.over(keyring_of(settings), SqlRegistry(engine), ports, NoUpstreams())
            servicer = AdminServicer(administration, lambda _call: Actor.at_the_command_line("tester"))

            async def ask(method, request):
                return await getattr(servicer, method)(request, None)

            yield administration_over(ask)

    cli = cache_commands(opened)

    def run(*arguments, exit_code=0, given=None):
        told = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=given)
        assert told.exit_code == exit_code, told.output
        return told

    return run


@pytest.fixture
def answer(command):
    """What a command says with --json."""
    return lambda *arguments, **options: json.loads(command(*arguments, "--json", **options).stdout)


DEMO = ("--tenant", "demo")
IMPORT = ("import", "-", *DEMO, "--model", "fast")


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_what_is_imported_is_listed_shown_explained_and_deleted(command, answer, kept):
    told = answer(*IMPORT, given=lines(ROW, {**ROW, "question": "How long does delivery take?", "tags": []}))
    assert told == {"stored": 2, "unchanged": 0, "replaced": 0, "refused": [], "dry_run": False}
    assert answer(*IMPORT, given=lines(ROW))["unchanged"] == 1
    (entry,) = answer("list", *DEMO, "--tag", "faq")
    assert (entry["question"], entry["origin"], entry["tags"]) == ("", "imported", ["faq"])
    assert ROW["question"] in command("list", *DEMO, "--content").stdout
    assert "There are more than 1" in command("list", *DEMO, "--limit", "1").stderr
    assert answer("show", entry["id"], *DEMO)["answer"] == ROW["answer"]
    assert f"answer: {ROW['answer']}" in command("show", entry["id"], *DEMO).stdout
    assert answer("delete", *DEMO, "--tag", "faq", "--dry-run") == {"deleted_entries": 1, "dry_run": True}
    assert answer("delete", *DEMO, "--tag", "faq") == {"deleted_entries": 1, "dry_run": False}
    left = kept.kept[0].entry_id
    assert command("dispute", left, *DEMO).stderr == f"The entry {left} is removed.\n"
    assert "see 'penstock cache list'" in command("dispute", left, *DEMO, exit_code=3).stderr
    explained = command("explain", "Can I return it within 30 days?", "Can I return it within 45 days?").stdout
    assert explained.startswith("not served: number (")
    assert "of which 0.500 is needed" in explained


def test_a_bad_line_is_told_the_rest_goes_in_and_the_command_fails(command, answer, kept):
    text = lines(ROW, {"question": "x"}, {**ROW, "question": "y", "model": "none"})
    told = answer(*IMPORT, given=text, exit_code=1)
    assert (told["stored"], [one["line"] for one in told["refused"]]) == (1, [2, 3])
    people = command(*IMPORT, given=text, exit_code=1).stderr.splitlines()
    assert people[0] == "line 2: answer is missing or empty."
    assert people[-1] == "0 stored, 1 unchanged, 0 replaced, 2 refused."
    assert len(kept.kept) == 1


@pytest.mark.parametrize("bad", [{"question": "x"}, {**ROW, "question": "y", "model": "none"}], ids=["form", "refused"])
def test_strict_takes_all_of_it_or_nothing(answer, kept, bad):
    assert answer(*IMPORT, "--strict", given=lines(ROW, bad), exit_code=1)["refused"][0]["line"] == 2
    assert kept.kept == []
    assert answer(*IMPORT, "--strict", given=lines(ROW))["stored"] == 1


def test_a_dry_run_of_an_import_says_what_would_become_of_it(command, kept):
    told = command(*IMPORT, "--dry-run", given=lines(ROW)).stderr
    assert told == "1 stored, 0 unchanged, 0 replaced, 0 refused; nothing has changed.\n"
    assert kept.kept == []


def test_many_rows_go_in_by_parts(answer, kept):
    rows = [{**ROW, "question": f"What is {number}?"} for number in range(ROWS)]
    assert answer(*IMPORT, given=lines(*rows))["stored"] == ROWS
    assert len(kept.kept) == ROWS
    assert len(answer("list", *DEMO, "--limit", "1000")) == ROWS


def test_an_export_is_private_whole_and_reads_back(command, answer, kept, tmp_path):
    rows = [{**ROW, "question": f"Was kostet № {number}?"} for number in range(ROWS)]
    answer(*IMPORT, given=lines(*rows))
    file = tmp_path / "export.jsonl"
    assert f"{ROWS} entries, questions and answers in plain text" in command("export", file, *DEMO).stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = {record.question for record in kept.kept}
    command("clear", *DEMO)
    assert kept.kept == []
    assert answer("import", file, *DEMO)["stored"] == ROWS
    assert {record.question for record in kept.kept} == before
    assert "is there already" in command("export", file, *DEMO, exit_code=1).stderr


def test_an_export_that_is_refused_leaves_no_file(command, tmp_path):
    command("export", tmp_path / "export.jsonl", "--tenant", "nobody", exit_code=3)
    assert "--tenant must be named" in command("export", tmp_path / "export.jsonl", exit_code=2).stderr
    assert not (tmp_path / "export.jsonl").exists()


@pytest.mark.parametrize("words", [("clear",), ("delete", *DEMO), ("shred", *DEMO)])
def test_what_deletes_without_a_filter_wants_a_word(command, kept, words):
    command(*IMPORT, given=lines(ROW))
    assert "say --yes" in command(*words, exit_code=2).stderr
    assert len(kept.kept) == 1
    command(*words, "--yes")
    assert kept.kept == []


def test_keys_are_rotated(command, answer, kept):
    command(*IMPORT, given=lines(ROW))
    assert answer("rotate-keys", *DEMO) == {"tenants": 1}
    assert answer("rotate-keys")["tenants"] >= 1
    assert [entry.answer for entry in kept.kept] == [ROW["answer"]]


def test_counts_say_how_sure_they_are(command, answer, kept):
    kept.told = Stats(semantic_hits=4, refused_by_guard={"number": 2}, judged_hits=200, false_hits=1)
    table = command("stats").stdout
    assert "0.50% of 200 judged hits (95 % interval 0.09% to 2.78%)" in table
    assert "2 number" in table
    assert answer("stats")["false_hit_rate"]["ratio"] == 0.005
    kept.told = Stats(semantic_trouble="the embedding service is away")
    assert "not enough data: 0 hits judged" in command("stats").stdout
    assert answer("stats")["false_hit_rate"] == {"hits": 0, "n": 0, "ratio": None, "low": None, "high": None}


def test_a_file_that_is_not_there_is_told(command, tmp_path):
    assert "cannot be read" in command("import", tmp_path / "none", *DEMO, exit_code=2).stderr
