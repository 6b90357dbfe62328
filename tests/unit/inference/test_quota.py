"""One quota: until when nobody of it is asked, and how refusals that say nothing add up."""

from __future__ import annotations

from penstock_inference.domain.health.quota import QuotaGroup
from penstock_inference.domain.health.rules import HealthRules


def quota() -> QuotaGroup:
    return QuotaGroup("q", HealthRules())


class Listening:
    """Counts what it hears."""

    heard = 0

    def troubled(self) -> None:
        self.heard += 1


def test_an_answer_to_a_request_from_before_the_cool_downs_end_says_nothing_of_the_quota() -> None:
    group = quota()
    group.refused(now=100.0, began=99.0, told_seconds=None)
    assert group.until == 101.0
    group.served(began=100.5)
    assert group.untold == 1
    group.served(began=101.0)
    assert group.untold == 0


def test_refusals_of_what_was_under_way_when_the_cool_down_began_are_one_also_once_it_is_longer() -> None:
    group = quota()
    group.refused(now=100.0, began=99.0, told_seconds=None)
    # One that said when makes it longer, and begins no other.
    group.refused(now=100.5, began=99.5, told_seconds=5.0)
    assert (group.since, group.until, group.untold) == (100.0, 105.5, 1)
    # It was asked after the cool-down began.
    group.refused(now=101.0, began=100.25, told_seconds=None)
    assert group.untold == 2


def test_no_cool_down_is_longer_than_the_longest_and_none_gets_shorter() -> None:
    group = quota()
    longest = HealthRules().longest_cool_down_seconds
    group.refused(now=100.0, began=100.0, told_seconds=longest * 2)
    assert group.until == 100.0 + longest
    listening = Listening()
    group.listeners.add(listening)
    group.refused(now=101.0, began=101.0, told_seconds=1.0)
    assert group.until == 100.0 + longest
    assert listening.heard == 0
    group.cool(102.0, longest)
    assert listening.heard == 1
