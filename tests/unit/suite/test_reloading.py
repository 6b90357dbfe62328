"""When a process reloads, and what it says of a reload that cannot be."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from penstock_common.configuration import Configuration, ConfigurationError, Fault
from penstock_suite.adapters.revision_metrics import RevisionMetrics
from penstock_suite.app.check import settings_type
from penstock_suite.app.reloading import Reloads, changes_of, note, refuse_what_needs_a_restart, reloaded
from penstock_suite.domain.changes import Changes, is_reloaded
from penstock_suite.domain.failure import Unreachable
from penstock_suite.domain.reload import Outcome, applied
from penstock_suite.domain.requests import Role
from penstock_suite.settings import Document


class Slow:
    """A reload that a test lets end."""

    def __init__(self):
        self.begun = asyncio.Queue()
        self.running = 0
        self.may_end = asyncio.Event()

    async def reload(self):
        self.running += 1
        assert self.running == 1, "two at once"
        self.begun.put_nowait(None)
        await self.may_end.wait()
        self.running -= 1


async def test_what_is_asked_for_before_the_start_follows_it():
    reloads, slow = Reloads(), Slow()
    reloads.ask()
    async with reloads.answered(slow.reload):
        await slow.begun.get()
        assert slow.begun.empty()


async def test_asked_for_during_a_reload_one_more_follows_however_often():
    reloads, slow = Reloads(), Slow()
    async with reloads.answered(slow.reload):
        reloads.ask()
        await slow.begun.get()
        for _ in range(5):
            reloads.ask()
        assert slow.begun.empty()
        slow.may_end.set()
        await slow.begun.get()
        # And no other: the five were one.
        for _ in range(20):
            await asyncio.sleep(0)
        assert slow.begun.empty()


async def test_a_reload_ends_with_what_it_is_for():
    reloads, slow = Reloads(), Slow()
    async with reloads.answered(slow.reload):
        reloads.ask()
        await slow.begun.get()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "reload the configuration"]


@pytest.mark.parametrize(
    ("error", "faults"),
    [
        pytest.param(
            ConfigurationError(Fault("bad", file="f.yaml", line=3), Fault("worse", file="f.yaml", line=4)),
            ("f.yaml:3: bad", "f.yaml:4: worse"),
            id="every fault of the file",
        ),
        pytest.param(Unreachable("it is gone"), ("it is gone",), id="a sentence"),
        pytest.param(KeyError("x"), ("KeyError, which should not be: 'x'",), id="an error of ours"),
    ],
)
async def test_whatever_stands_against_a_reload_what_runs_runs_on(error, faults):
    async def work():
        raise error

    outcome = await reloaded(work, "abc")
    assert (outcome.outcome, outcome.revision, outcome.faults) == (Outcome.REFUSED, "abc", faults)
    assert outcome.began_ns > 0


def test_what_needs_a_restart_is_named_with_its_place():
    configuration = Configuration.parse("listen:\n  http: 127.0.0.1:1\n", {}, "penstock.yaml")
    changes = Changes(restart=frozenset({("listen", "http"), ("sql",)}))
    with pytest.raises(ConfigurationError) as refused:
        refuse_what_needs_a_restart(changes, configuration)
    assert [str(fault).split(": it is")[0] for fault in refused.value.faults] == [
        "penstock.yaml:2: 'listen.http'",
        "penstock.yaml: 'sql'",
    ]


def test_metrics_tell_the_revision_and_whether_the_last_reload_was_one():
    registry, now = CollectorRegistry(), [100.0]
    metrics = RevisionMetrics("aaa", lambda: now[0])
    registry.register(metrics)

    def shown():
        return (
            registry.get_sample_value("penstock_config_info", {"revision": "bbb"}),
            registry.get_sample_value("penstock_config_last_reload_successful"),
            registry.get_sample_value("penstock_config_last_reload_success_timestamp_seconds"),
        )

    assert shown() == (None, 1, 100)
    metrics.refuse()
    assert shown() == (None, 0, 100)
    now[0] = 200
    note(applied("aaa", "bbb", Changes()), metrics)
    assert shown() == (1, 1, 200)


@pytest.mark.parametrize(
    ("setting", "reloaded"),
    [
        pytest.param(setting, reloaded, id=".".join(setting))
        for setting, reloaded in [
            (("models", "fast", "candidates"), True),
            (("upstreams", "openai", "models", "m", "price", "input"), True),
            (("tenants", "demo", "tier"), True),
            (("tiers", "free"), True),
            (("operator", "keys"), True),
            (("embedding", "price", "input"), True),
            (("embedding", "model"), False),
            (("listen", "http"), False),
            (("sql",), False),
            (("gateway", "max_in_flight"), False),
            (("cache", "redis_ttl"), False),
            (("redis", "state"), False),
            (("retention", "ledger"), False),
        ]
    ],
)
def test_what_a_running_process_takes_over(setting, reloaded):
    readers = [kind for role in Role if setting[0] in (kind := settings_type(role)).model_fields]
    assert any(is_reloaded(kind, setting) for kind in readers) == reloaded


def test_a_section_for_reloads_is_known():
    assert "reload" in Document.model_fields


async def test_after_a_reload_that_could_not_even_be_noted_the_next_is_heard():
    reloads, begun = Reloads(), asyncio.Queue()

    async def reload():
        begun.put_nowait(None)
        raise OSError("the disk is full")

    async with reloads.answered(reload):
        for _ in range(2):
            reloads.ask()
            await begun.get()


def test_settings_of_a_role_that_did_not_run_are_no_changes():
    assert changes_of([], [Document()]) == Changes()
