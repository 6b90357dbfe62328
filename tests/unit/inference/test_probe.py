"""Probes: what is sent, what is a good one, and whose turn it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from penstock_common.llm.types import Candidate, TextDelta
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.health.place import Place
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.rules import HealthRules, State
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.probe import Lease, Watch, probe
from penstock_inference.domain.upstream import UpstreamCall, UpstreamEvent


class Played:
    """An upstream that fails with this, or begins to answer, or waits for ever."""

    ended = sent = False
    unread_bytes = 0
    dropped = ()

    def __init__(self, error: Exception | None = None, *, stalls: bool = False) -> None:
        self.error = error
        self.stalls = stalls
        self.calls: list[UpstreamCall] = []
        self.asked = asyncio.Event()
        self.closed = 0

    def ask(self, call: UpstreamCall) -> Played:
        self.calls.append(call)
        self.asked.set()
        return self

    async def read(self) -> Sequence[UpstreamEvent]:
        if self.stalls:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return (TextDelta(text="H"),)

    async def aclose(self) -> None:
        self.closed += 1


class NotOurTurn:
    """Another replica probes."""

    async def take(self, name: str, seconds: float) -> bool:
        return False

    async def give_back(self, name: str) -> None:
        raise AssertionError("it was not ours")


def world(upstream: Played, **rules: float) -> tuple[Health, Pool, Place]:
    """Return a place that is out, on a clock that stands still."""
    health = Health(HealthRules(**rules), clock=lambda: 100.0, chance=lambda: 0.5)  # pyright: ignore[reportArgumentType] - of one type
    pool = Pool([Endpoint(upstream)], health.upstream("u"))
    (place,) = pool.places("m")
    place.eject(0.0, "connect")
    return health, pool, place


def watch_over(health: Health, pool: Pool, lease: Lease | None = None) -> Watch:
    """Return the watch over a pool's one model."""
    watch = Watch(health, lease)
    watch.look_after({"u": pool}, [Model(Candidate(upstream="u", model="m"))])
    return watch


async def test_a_probe_asks_for_one_token_with_words_of_ours_and_is_good_once_the_answer_begins() -> None:
    upstream = Played()
    probed = await probe(Endpoint(upstream), "m", 10, lambda: 0.0)
    assert probed.failure is None
    (call,) = upstream.calls
    assert (call.model, call.input.sampling.max_output_tokens, call.input.messages[0].text) == ("m", 1, "Hi")
    assert upstream.closed == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AttemptFailed(FailureKind.CONNECT, "no connection"), FailureKind.CONNECT),
        (KeyError("an adapter's fault"), FailureKind.ADAPTER),
    ],
    ids=["a failure", "a fault of ours"],
)
async def test_a_probe_never_raises(error: Exception, kind: FailureKind) -> None:
    probed = await probe(Endpoint(Played(error)), "m", 10, lambda: 0.0)
    assert probed.failure is not None
    assert probed.failure.kind is kind


async def test_a_probe_that_hears_nothing_is_a_failure_in_its_time() -> None:
    upstream = Played(stalls=True)
    probed = await probe(Endpoint(upstream), "m", 0.001, lambda: 0.0)
    assert probed.failure is not None
    assert probed.failure.kind is FailureKind.TIMEOUT
    assert upstream.closed == 1


async def test_where_another_replica_probes_it_is_put_off_and_the_place_stays_as_it_is() -> None:
    upstream = Played()
    health, pool, place = world(upstream)
    place.probe_due = 0.0
    (due,) = health.due_probes()
    await watch_over(health, pool, NotOurTurn()).probe(due)
    assert upstream.calls == []
    assert (place.is_probed, place.good_probes, place.probe_due) == (False, 0, 110.0)


async def test_what_the_configuration_no_longer_has_is_not_probed() -> None:
    health, _, place = world(Played())
    place.is_probed = True
    await Watch(health).probe(place)
    assert not place.is_probed


def test_an_upstream_that_the_configuration_has_again_is_looked_after_again_in_its_place() -> None:
    health, pool, place = world(Played())
    other = Pool([Endpoint(Played())], health.upstream("other"))
    watch = watch_over(health, pool)
    models = {name: Model(Candidate(upstream=name, model="m")) for name in ("other", "u")}
    watch.look_after({"other": other}, [models["other"]])
    place.probe_due = 0.0
    assert [state.name.upstream for state in health.states()] == ["other"]
    assert list(health.due_probes()) == []
    # An earlier revision was still in use, so that it is the same.
    watch.look_after({"other": other, "u": pool}, models.values())
    assert [state.name.upstream for state in health.states()] == ["other", "u"]
    assert list(health.due_probes()) == [place]


def test_nothing_is_kept_of_what_the_configuration_no_longer_has_but_when_a_quota_may_be_used_again() -> None:
    health, pool, _ = world(Played())
    watch = watch_over(health, pool)
    for number in range(3):
        name = f"u{number}"
        passing = Pool([Endpoint(Played())], health.upstream(name))
        watch.look_after({name: passing}, [Model(Candidate(upstream=name, model="m"))])
    assert list(health.groups) == ["u2"]
    assert [name for name, _ in health.budgets()] == ["u2"]
    health.group("u2").cool(health.clock(), 60)
    watch.look_after({"u": pool}, [Model(Candidate(upstream="u", model="m"))])
    assert set(health.groups) == {"u", "u2"}


async def test_the_watch_brings_back_who_is_well_and_ends_when_it_is_told() -> None:
    upstream = Played()
    health, pool, place = world(upstream)
    place.probe_due = 0.0
    watching = asyncio.ensure_future(watch_over(health, pool).run(0))
    while place.condition is not State.OK:
        await asyncio.sleep(0)
    assert len(upstream.calls) == 3
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


async def test_a_fault_of_ours_ends_neither_the_watch_nor_the_service() -> None:
    upstream = Played()
    health, pool, place = world(upstream)
    place.probe_due = 0.0
    faults = [KeyError("ours"), KeyError("again")]
    tick = health.tick

    def faulty() -> None:
        if faults:
            raise faults.pop()
        tick()

    health.tick = faulty
    watching = asyncio.ensure_future(watch_over(health, pool).run(0))
    while place.condition is not State.OK:
        await asyncio.sleep(0)
    assert not faults
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


class SlowToTell:
    """A lease that is ours, and that is given back when a test lets it."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.asked = asyncio.Event()
        self.may_end = asyncio.Event()

    async def take(self, name: str, seconds: float) -> bool:
        self.asked.set()
        if self.fault is not None:
            raise self.fault
        return True

    async def give_back(self, name: str) -> None:
        await self.may_end.wait()


async def test_there_is_one_probe_until_the_lease_of_the_last_is_given_back() -> None:
    lease, upstream = SlowToTell(), Played(AttemptFailed(FailureKind.CONNECT, "no connection"))
    health, pool, place = world(upstream)
    place.probe_due = 0.0
    watch = watch_over(health, pool, lease)
    (due,) = health.due_probes()
    probing = asyncio.ensure_future(watch.probe(due))
    await upstream.asked.wait()
    while not upstream.closed:
        await asyncio.sleep(0)
    assert list(health.due_probes()) == []
    lease.may_end.set()
    await probing
    # The next is due in its time.
    assert (place.is_probed, place.probe_due, list(health.due_probes())) == (False, 110.0, [])


async def test_a_lease_that_cannot_be_asked_for_puts_the_probe_off_and_ends_no_later_one() -> None:
    lease = SlowToTell(KeyError("ours"))
    health, pool, place = world(Played())
    place.probe_due = 0.0
    watching = asyncio.ensure_future(watch_over(health, pool, lease).run(0))
    await lease.asked.wait()
    while place.probe_due == 0.0:
        await asyncio.sleep(0)
    assert (place.is_probed, place.probe_due) == (False, 110.0)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


async def test_a_watch_that_ends_in_a_probe_closes_it() -> None:
    upstream = Played(stalls=True)
    health, pool, place = world(upstream)
    place.probe_due = 0.0
    watching = asyncio.ensure_future(watch_over(health, pool).run(0))
    await upstream.asked.wait()
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert upstream.closed == 1
    assert not place.is_probed
