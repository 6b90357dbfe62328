"""What several processes borrow of one allowance: never more than it has, and asked for seldom."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from penstock_common.priority import Priority
from penstock_common.testing.fake_clock import FakeClock, settle
from penstock_inference.adapters.shared_limits import SharedLimits
from penstock_inference.domain.load.allowance import BURST_SECONDS, Allowance
from penstock_inference.domain.load.budgets import Budgets, Fellows
from penstock_inference.domain.load.gate import Gate, GateLimits
from penstock_inference.domain.load.shared_allowance import SLICE_SECONDS, BudgetName, Loan, SharedAllowance, Wish


class Bank:
    """Lends out of one allowance, when the test lets it answer."""

    def __init__(self, name: BudgetName, clock: FakeClock) -> None:
        self.name = name
        self.asked = 0
        self.lent = 0.0
        self.returned = 0.0
        self._clock = clock
        self._kept = Allowance(name.per_minute, clock.now)
        self._waiting: list[SharedAllowance] = []
        self._sent: list[tuple[SharedAllowance, Wish]] = []

    def ask(self, budget: SharedAllowance) -> None:
        """Note who asks."""
        self.asked += 1
        self._waiting.append(budget)

    def give_back(self, budget: SharedAllowance, units: float) -> None:
        """Take back."""
        self.returned += units
        self._kept.correct(-units, self._clock.now)

    def send(self) -> None:
        """Take the wishes of all who have asked so far on their way."""
        self._sent += [(budget, budget.wish()) for budget in self._waiting]
        self._waiting.clear()

    def answer(self) -> None:
        """Lend to all who have asked so far, as the script does."""
        self.send()
        sent, self._sent = self._sent, []
        now, per_second = self._clock.now, self.name.per_minute / 60
        for budget, wish in sent:
            wait = self._kept.wait_seconds(wish.least, now)
            there = max(BURST_SECONDS, 1 / per_second) * per_second - self._kept.owed_units(now)
            units = max(wish.least, min(wish.most, there)) if not wait else 0.0
            self._kept.take(units, now)
            self.lent += units
            spent = self._kept.owed_units(now) / (BURST_SECONDS * per_second)
            budget.lent(Loan(units, wait, min(1.0, spent)))

    def lose(self) -> None:
        """Answer nobody, as a Redis that is away."""
        waiting, self._waiting = self._waiting, []
        for budget in waiting:
            budget.lost()


class World:
    """Processes that share one allowance."""

    def __init__(self, per_minute: int, processes: int = 1) -> None:
        self.clock = FakeClock()
        name = BudgetName("u", "requests", per_minute)
        self.bank = Bank(name, self.clock)
        self.budgets = [SharedAllowance(name, self.bank, lambda: processes, self.clock) for _ in range(processes)]

    def take(self, number: int = 0, units: float = 1) -> bool:
        """Take at once what is there; return whether it is."""
        budget, now = self.budgets[number], self.clock.now
        if budget.wait_seconds(units, now):
            return False
        budget.take(units, now)
        return True

    def borrow(self, number: int = 0, units: float = 1) -> bool:
        """The same, once the bank has answered."""
        if self.take(number, units):
            return True
        self.bank.answer()
        return self.take(number, units)


async def test_what_all_processes_have_together_is_the_allowance_and_no_more() -> None:
    world = World(600, processes=4)
    assert sum(world.borrow(turn % 4) for turn in range(400)) == 100
    await world.clock.advance(0.101)
    assert sum(world.borrow(turn % 4) for turn in range(40)) == 1


async def test_a_slice_lasts_for_the_next_and_nobody_is_asked_for_each_request() -> None:
    world = World(60_000)
    for second in range(5):
        for _ in range(100):
            assert world.borrow()
        if not second:
            assert world.bank.asked <= 10
            world.bank.asked = 0
        await world.clock.advance(SLICE_SECONDS)
    assert world.bank.asked <= 2 * 4


async def test_what_nobody_needs_is_given_back_within_two_seconds_and_the_clock_rests() -> None:
    world = World(60_000)
    for _ in range(2):
        for _ in range(300):
            assert world.borrow()
        await world.clock.advance(SLICE_SECONDS)
        world.bank.answer()
    await world.clock.advance(2 * SLICE_SECONDS)
    assert world.bank.lent - world.bank.returned == pytest.approx(600)
    asked = world.bank.asked
    await world.clock.advance(3600)
    assert world.bank.asked == asked


async def test_what_an_answer_did_not_take_goes_back_and_what_it_took_more_is_owed() -> None:
    world = World(6000, processes=2)
    assert world.borrow(0, 900)
    assert not world.borrow(1, 900)
    world.budgets[0].correct(-900, world.clock.now)
    await world.clock.advance(2 * SLICE_SECONDS)
    assert world.borrow(1, 900)
    world.budgets[1].correct(500, world.clock.now)
    out = world.bank.lent - world.bank.returned
    await world.clock.advance(BURST_SECONDS)
    assert world.borrow(1, 10)
    assert world.bank.lent - world.bank.returned - out == pytest.approx(510)


@pytest.mark.parametrize("is_closed", [False, True], ids=["within a second", "when it ends"])
async def test_what_an_answer_took_more_than_was_lent_all_know(is_closed: bool) -> None:
    world = World(6000, processes=2)
    assert world.borrow(0, 10)
    await world.clock.advance(60)
    world.budgets[0].correct(700, world.clock.now)
    if is_closed:
        world.budgets[0].close()
    else:
        await world.clock.advance(SLICE_SECONDS)
    # A burst has a thousand, and a second a hundred.
    assert not world.borrow(1, 500)
    await world.clock.advance(2)
    assert world.borrow(1, 300)


async def test_what_an_answer_gives_back_long_after_the_last_slice_is_not_kept_for_ever() -> None:
    world = World(6000)
    for _ in range(3):
        assert world.borrow(0, 900)
        # Nobody else asks meanwhile, and the clock rests.
        await world.clock.advance(60)
        assert world.clock.scheduled == []
        world.budgets[0].correct(-900, world.clock.now)
    await world.clock.advance(2 * SLICE_SECONDS)
    assert world.bank.returned == pytest.approx(world.bank.lent)
    assert world.clock.scheduled == []


async def test_a_take_larger_than_the_burst_is_granted_alone_and_then_everybody_waits() -> None:
    world = World(600, processes=2)
    assert world.borrow(0, 500)
    assert not world.borrow(1, 1)
    await world.clock.advance(40)
    assert not world.borrow(1, 1)
    await world.clock.advance(1)
    assert world.borrow(1, 1)


@pytest.mark.parametrize("spent", [0, 60, 100])
async def test_who_cannot_ask_has_its_share_of_what_is_left_and_earns_its_share(spent: int) -> None:
    world = World(600, processes=4)
    came = 0
    for turn in range(400):
        came += came < spent and world.borrow(turn % 4)
    assert came == spent
    for budget in world.budgets:
        budget.lost()
    # Each has heard of what the others took before it asked last, and none has more than a second's in hand.
    assert 0 <= sum(world.take(turn % 4) for turn in range(400)) - (100 - spent) <= (4 * 10 if spent else 0)
    await world.clock.advance(20)
    assert sum(world.take(turn % 4) for turn in range(400)) == 100


async def test_what_was_taken_alone_is_owed_to_who_is_back_and_nothing_twice() -> None:
    world = World(600, processes=2)
    assert sum(world.borrow(turn % 2) for turn in range(200)) == 100
    for budget in world.budgets:
        budget.lost()
    # A second has ten.
    await world.clock.advance(1.001)
    assert sum(world.take(turn % 2) for turn in range(50)) == 10
    for budget in world.budgets:
        budget.found()
    assert not any(world.borrow(number) for number in range(2))
    await world.clock.advance(1)
    assert sum(world.borrow(turn % 2) for turn in range(50)) == 10


async def test_an_allowance_that_was_never_heard_of_is_shared_by_the_number_that_was_said() -> None:
    world = World(600, processes=5)
    for number in range(5):
        assert not world.take(number)
    world.bank.lose()
    assert sum(world.take(turn % 5) for turn in range(400)) == 100


@profile(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2), st.sampled_from(["take", "take", "take", "correct", "wait", "lost", "found"]), st.floats(0.01, 40)
        ),
        max_size=80,
    )
)  # fmt: skip
async def test_whatever_happens_no_more_is_taken_than_a_burst_and_what_time_has_earned(
    events: list[tuple[int, str, float]],
) -> None:
    world = World(600, processes=3)
    began, taken, largest, away = world.clock.now, 0.0, 0.0, False
    for number, event, amount in events:
        match event:
            case "take":
                if world.take(number, amount) or (not away and world.borrow(number, amount)):
                    taken, largest = taken + amount, max(largest, amount)
            case "correct":
                # An answer that took less than it might have.
                back = min(amount, taken)
                world.budgets[number].correct(-back, world.clock.now)
                taken -= back
            case "wait":
                await world.clock.advance(amount / 10)
            case _:
                away = event == "lost"
                for budget in world.budgets:
                    budget.lost() if away else budget.found()
        # A share of the burst of each, once more, where the bank was left with what is not spent.
        most = 100 * (2 if any(each[1] == "lost" for each in events) else 1) + largest * 3
        assert taken <= most + (world.clock.now - began) * 10 + 1e-3


class Everyone:
    """Implements ``Sharing`` by a bank for each budget."""

    def __init__(self, clock: FakeClock) -> None:
        self.banks: dict[BudgetName, Bank] = {}
        self.fellows: list[Fellows] = []
        self.asked: list[Callable[[], None]] = []
        self._clock = clock

    def join(self, budget: SharedAllowance) -> None:
        """Open a bank."""
        self.banks[budget.name] = Bank(budget.name, self._clock)

    def tell(self, fellows: Fellows) -> None:
        """Remember whom to tell."""
        self.fellows.append(fellows)

    def ask(self, budget: SharedAllowance) -> None:
        """Pass it on."""
        self.banks[budget.name].ask(budget)

    def give_back(self, budget: SharedAllowance, units: float) -> None:
        """Pass it on."""
        self.banks[budget.name].give_back(budget, units)

    def answer(self) -> None:
        """Let all banks answer."""
        for bank in self.banks.values():
            bank.answer()


def gates(clock: FakeClock, sharing: Everyone, *limits: GateLimits) -> list[Gate]:
    """Return gates of one process and one quota."""
    budgets = Budgets(clock, sharing)
    return [
        Gate(each, clock, None, budgets.parts("g", each.requests_per_minute, each.tokens_per_minute, 2))
        for each in limits
    ]


async def test_a_hundred_who_come_at_once_are_let_in_by_two_loans_though_none_would_wait() -> None:
    clock = FakeClock()
    sharing = Everyone(clock)
    (gate,) = gates(clock, sharing, GateLimits(requests_per_minute=60_000))

    async def come() -> bool:
        return gate.try_enter(Priority.DEFAULT, 0) or await gate.try_enter_once_told(Priority.DEFAULT, 0)

    first = asyncio.ensure_future(come())
    await settle()
    # One is wished for, and the others come while that is on its way.
    for bank in sharing.banks.values():
        bank.send()
    others = [asyncio.ensure_future(come()) for _ in range(99)]
    for _ in range(2):
        await settle()
        sharing.answer()
    assert await asyncio.gather(first, *others) == [True] * 100
    assert gate.in_flight == 100


async def test_who_waits_in_the_queue_is_let_in_by_a_loan_and_by_time() -> None:
    clock = FakeClock()
    sharing = Everyone(clock)
    (gate,) = gates(clock, sharing, GateLimits(requests_per_minute=60))
    waiting = [asyncio.ensure_future(gate.enter("t", Priority.DEFAULT, 0, 60)) for _ in range(12)]
    for _ in range(20):
        await settle()
        sharing.answer()
    assert sum(each.done() for each in waiting) == 10
    for more in (1, 2):
        await clock.advance(1)
        sharing.answer()
        await settle()
        assert sum(each.done() for each in waiting) == 10 + more
    assert all(await asyncio.gather(*waiting))


async def test_a_queue_goes_on_alone_when_nobody_lends_any_more() -> None:
    clock = FakeClock()
    sharing = Everyone(clock)
    (gate,) = gates(clock, sharing, GateLimits(requests_per_minute=60))
    waiting = asyncio.ensure_future(gate.enter("t", Priority.DEFAULT, 0, 60))
    await settle()
    (bank,) = sharing.banks.values()
    bank.lose()
    assert await waiting


async def test_upstreams_of_one_quota_with_the_same_number_share_it_also_where_nobody_lends() -> None:
    for sharing in (None, "shared"):
        clock = FakeClock()
        bank = Everyone(clock) if sharing else None
        one, other, third = gates(
            clock, cast("Everyone", bank), *[GateLimits(requests_per_minute=120)] * 2, GateLimits(tokens_per_minute=600)
        )

        async def come(gate: Gate, bank: Everyone | None = bank) -> bool:
            if gate.try_enter(Priority.DEFAULT, 1):
                return True
            if bank is not None:
                bank.answer()
            return gate.try_enter(Priority.DEFAULT, 1)

        # Half of it where two processes share it and nobody lends.
        assert sum([await come(gate) for gate in [one, other] * 20]) == (20 if sharing else 10)
        assert await come(third)
        one.close()
        other.close()


def test_places_are_divided_without_a_rest_and_each_has_one_at_least() -> None:
    for places, count in ((10, 3), (7, 7), (100, 8), (2, 3)):
        parts = [Fellows(count, rank).part_of(places) for rank in range(count)]
        assert sum(parts) == max(places, count)
        assert max(parts) - min(parts) <= 1
    assert Fellows(3).part_of(10) == 3


async def test_a_gate_has_its_part_of_the_places_as_soon_as_it_knows_how_many_share_them() -> None:
    clock = FakeClock()
    sharing = Everyone(clock)
    (gate,) = gates(clock, sharing, GateLimits(concurrent_requests=9))
    assert gate.most_inside == 4
    (fellows,) = sharing.fellows
    fellows.count, fellows.rank = 4, 0
    assert gate.most_inside == 3
    fellows.rank = 1
    assert gate.most_inside == 2


def test_a_reload_that_says_another_number_of_processes_divides_anew():
    clock = FakeClock()
    budgets = Budgets(clock)
    for processes in (1, 4):
        requests, _, _ = budgets.parts("u", 60, 0, processes)
        assert requests is not None
        share = BURST_SECONDS / processes
        assert requests.wait_seconds(share, clock.now) == 0
        requests.take(share, clock.now)
        assert requests.wait_seconds(1, clock.now) == pytest.approx(processes)


@pytest.mark.parametrize("is_shared", [False, True], ids=["its own", "shared"])
def test_what_no_gate_counts_by_any_longer_is_gone(is_shared: bool):
    clock = FakeClock()
    limits = SharedLimits(cast("Any", None), lambda work: work.close()) if is_shared else None
    budgets = Budgets(clock, limits)
    gate = Gate(GateLimits(requests_per_minute=60), clock, None, budgets.parts("g", 60, 0, 1))
    kept, gone = budgets.parts("g", 60, 0, 1), weakref.ref(budgets.parts("g", 120, 0, 1).requests)
    assert gone() is None
    held = weakref.ref(kept.requests)
    gate.close()
    del gate
    assert held() is not None
    del kept
    assert held() is None


def test_upstreams_of_one_quota_that_say_the_same_share_it():
    budgets = Budgets(FakeClock())
    one, other = (budgets.parts("u", 60, 60, 2) for _ in range(2))
    assert one.requests is other.requests
    assert one.tokens is other.tokens
    assert one.requests is not budgets.parts("v", 60, 60, 2).requests
