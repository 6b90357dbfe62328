"""Whom to ask next, and when."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common import errors
from penstock_common.llm.types import Candidate, UnsupportedFields
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.failure import AttemptFailed, FailureKind, Next
from penstock_inference.domain.succession import ATTEMPTS_PER_CANDIDATE, LONGEST_WAIT, Succession

HALF = 0.5


def models(*windows: int) -> list[Model]:
    """Return models named by their place."""
    return [
        Model(Candidate(upstream=f"u{place}", model="m"), context_window_tokens=window)
        for place, window in enumerate(windows)
    ]


def succession(*windows: int, seconds_left: float = float("inf"), chance: float = HALF) -> Succession:
    """Return one that has begun its first attempt."""
    made = Succession(models(*windows), lambda: seconds_left, lambda: chance)
    made.begin()
    return made


def failed(kind: FailureKind, seconds: float | None = None, **more: int) -> AttemptFailed:
    """Return a failure."""
    return AttemptFailed(kind, "it failed", None if seconds is None else timedelta(seconds=seconds), **more)  # pyright: ignore[reportArgumentType] - sizes only


def go_on(made: Succession, failure: AttemptFailed) -> float:
    """Return the pause before the next attempt, or raise what the caller sees where there is none."""
    delay = made.after(failure)
    if delay is None:
        raise made.error
    return delay


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_the_first_retry_has_full_jitter_of_a_quarter_second(chance: float) -> None:
    assert go_on(succession(0, chance=chance), failed(FailureKind.SERVER_ERROR)) == chance * 0.25


def test_a_retry_that_does_not_fit_the_deadline_goes_to_the_next_candidate() -> None:
    made = succession(0, 0, seconds_left=0.1)
    assert go_on(made, failed(FailureKind.SERVER_ERROR)) == 0
    assert made.current.candidate.upstream == "u1"


@pytest.mark.parametrize(("seconds_left", "upstream"), [(0.125, "u1"), (0.126, "u0")])
def test_a_retry_that_would_begin_at_the_deadline_does_not_fit_it(seconds_left: float, upstream: str) -> None:
    made = succession(0, 0, seconds_left=seconds_left)
    go_on(made, failed(FailureKind.SERVER_ERROR))
    assert made.current.candidate.upstream == upstream


def test_an_upstream_that_says_when_is_not_asked_before() -> None:
    delay = go_on(succession(0), failed(FailureKind.RATE_LIMITED, 3))
    assert 3 <= delay <= 3.25


def test_a_wait_longer_than_the_bound_is_an_error() -> None:
    with pytest.raises(errors.RateLimited) as limited:
        go_on(succession(0), failed(FailureKind.RATE_LIMITED, LONGEST_WAIT.total_seconds() + 1))
    assert limited.value.retry_after == LONGEST_WAIT + timedelta(seconds=1)


def test_a_rate_limit_that_says_nothing_is_waited_for_with_equal_jitter() -> None:
    assert go_on(succession(0, chance=0), failed(FailureKind.RATE_LIMITED)) == 0.5


def test_only_larger_windows_are_tried_after_a_conversation_was_too_long() -> None:
    made = succession(4096, 4096, 2048, 8192)
    go_on(made, failed(FailureKind.CONTEXT_LENGTH))
    assert made.current.context_window_tokens == 8192


@pytest.mark.parametrize(
    ("configured", "stated", "others", "expected"),
    [
        (0, 4096, (4096, 8192), 8192),
        (131_072, 4096, (2048, 4096, 8192, 200_000), 8192),
        (131_072, 8192, (32_768,), 32_768),
        (4096, 0, (4096, 8192), 8192),
        (4096, 10**9, (8192,), 8192),
        (131_072, 4096, (0,), 0),
        (0, 0, (2048,), 2048),
    ],
    ids=[
        "configured unknown", "served with less", "with less than the next has", "nothing stated", "a figure of the caller's",
        "the next unknown", "nothing known",
    ],
)  # fmt: skip
def test_the_next_is_the_first_that_takes_more_than_the_window_that_was_too_small(
    configured: int, stated: int, others: tuple[int, ...], expected: int
) -> None:
    made = succession(configured, *others)
    go_on(made, failed(FailureKind.CONTEXT_LENGTH, max_input_tokens=stated))
    assert made.current.context_window_tokens == expected


def test_where_nobody_takes_more_the_error_names_the_window() -> None:
    made = succession(131_072, 4096, 2048)
    with pytest.raises(errors.ContextLengthExceeded) as told:
        go_on(made, failed(FailureKind.CONTEXT_LENGTH, max_input_tokens=4096))
    assert told.value.max_input_tokens == 4096


def test_a_candidate_that_was_not_asked_is_not_an_attempt() -> None:
    made = succession(0, 0)
    go_on(made, failed(FailureKind.UNSUPPORTED))
    made.begin()
    assert made.attempts == 1


def test_an_unsupported_field_is_what_the_caller_sees_only_where_no_candidate_was_asked() -> None:
    made = succession(0, 0)
    go_on(made, failed(FailureKind.UNSUPPORTED))
    made.begin()
    with pytest.raises(errors.UpstreamTimeout):
        go_on(made, AttemptFailed(FailureKind.TIMEOUT, "silent", stage="headers"))
    alone = succession(0)
    with pytest.raises(errors.UnsupportedParameter):
        go_on(alone, failed(FailureKind.UNSUPPORTED))


@given(st.integers(1, 4), st.lists(st.sampled_from(list(FailureKind)), min_size=20, max_size=20))
def test_every_sequence_of_failures_ends_within_the_bound(candidates: int, kinds: list[FailureKind]) -> None:
    made = Succession(models(*([0] * candidates)), lambda: float("inf"), lambda: HALF)
    asked: list[str] = []
    with pytest.raises(errors.PenstockError):
        for kind in kinds:
            made.begin()
            asked.append(made.current.candidate.upstream)
            go_on(made, failed(kind))
    assert asked == sorted(asked)
    assert all(asked.count(name) <= ATTEMPTS_PER_CANDIDATE for name in asked)


@given(st.sampled_from(list(FailureKind)))
def test_every_kind_has_a_meaning(kind: FailureKind) -> None:
    assert failed(kind).next in Next


def lacking() -> AttemptFailed:
    """Return what a candidate says that does not take a field."""
    return AttemptFailed(FailureKind.UNSUPPORTED, "x is not supported", parameter="x", may_be_dropped=True)


@pytest.mark.parametrize("mode", [UnsupportedFields.DROP, UnsupportedFields.PASS])
def test_who_takes_every_field_comes_first_and_the_others_are_the_last_resort(mode: UnsupportedFields) -> None:
    made = Succession(models(0, 0, 0), lambda: float("inf"), lambda: HALF, mode)
    made.begin()
    go_on(made, lacking())
    assert (made.current.candidate.upstream, made.unsupported) == ("u1", UnsupportedFields.REFUSE)
    made.begin()
    go_on(made, failed(FailureKind.TIMEOUT))
    made.begin()
    assert made.others_left
    go_on(made, lacking())
    assert (made.current.candidate.upstream, made.unsupported) == ("u0", mode)
    made.begin()
    go_on(made, failed(FailureKind.TIMEOUT))
    assert (made.current.candidate.upstream, made.unsupported) == ("u2", mode)
    made.begin()
    assert made.attempts == 3
    with pytest.raises(errors.UpstreamTimeout):
        go_on(made, failed(FailureKind.TIMEOUT))


def test_a_field_that_nobody_takes_is_refused_with_the_ways_out() -> None:
    made = succession(0, 0)
    go_on(made, lacking())
    made.begin()
    with pytest.raises(errors.UnsupportedParameter) as refused:
        go_on(made, lacking())
    assert refused.value.parameter == "x"
    assert "'unsupported: drop'" in refused.value.message
    assert "'passthrough: true'" in refused.value.message


def test_what_must_not_be_left_out_is_refused_whatever_the_switch() -> None:
    made = Succession(models(0), lambda: float("inf"), lambda: HALF, UnsupportedFields.DROP)
    made.begin()
    with pytest.raises(errors.UnsupportedParameter, match="Leave it out, or ask another model"):
        go_on(made, AttemptFailed(FailureKind.UNSUPPORTED, "x is not supported", parameter="x"))


def test_others_make_a_broken_answer_whole_and_who_broke_off_where_there_are_none() -> None:
    made = succession(0, 0)
    assert made.after_break(failed(FailureKind.CUT)) == 0
    assert made.current.candidate.upstream == "u1"
    made.begin()
    assert made.after_break(failed(FailureKind.CUT)) == HALF * 0.25
    assert made.current.candidate.upstream == "u1"
    made.begin()
    assert made.after_break(failed(FailureKind.CUT)) is None
    assert made.attempts == 3


@pytest.mark.parametrize(
    "kind",
    [FailureKind.TIMEOUT, FailureKind.MALFORMED, FailureKind.DIVERGED],
    ids=lambda kind: kind.value,
)
def test_who_broke_off_is_not_asked_again_where_that_cannot_help(kind: FailureKind) -> None:
    assert succession(0).after_break(failed(kind)) is None


@pytest.mark.parametrize(("seconds", "delay"), [(None, 0.75), (3, 3.25), (60, None)])
def test_the_last_that_could_make_an_answer_whole_is_waited_for_where_it_soon_has_quota(
    seconds: float | None, delay: float | None
) -> None:
    made = succession(0, 0)
    made.after_break(failed(FailureKind.CUT))
    made.begin()
    told = None if seconds is None else timedelta(seconds=seconds)
    assert made.after_break(AttemptFailed(FailureKind.RATE_LIMITED, "it failed", told)) == delay
    assert made.current.candidate.upstream == "u1"


def test_a_pause_after_a_break_that_does_not_fit_the_deadline_is_none() -> None:
    assert succession(0, seconds_left=0.1).after_break(failed(FailureKind.CUT)) is None


def test_only_larger_windows_are_asked_to_make_an_answer_whole_that_was_too_long_for_one() -> None:
    made = succession(4096, 8192, 4096, 16_384)
    made.after_break(failed(FailureKind.CUT))
    made.begin()
    assert made.after_break(failed(FailureKind.CONTEXT_LENGTH)) == 0
    assert made.current.context_window_tokens == 16_384
    made.begin()
    assert made.after_break(failed(FailureKind.CONTEXT_LENGTH)) is None


def test_who_lacks_a_field_makes_an_answer_whole_without_it_where_nobody_else_can() -> None:
    made = Succession(models(0, 0), lambda: float("inf"), lambda: HALF, UnsupportedFields.DROP)
    made.begin()
    made.after_break(failed(FailureKind.CUT))
    made.begin()
    assert made.unsupported is UnsupportedFields.REFUSE
    lacks = AttemptFailed(FailureKind.UNSUPPORTED, "it lacks it", may_be_dropped=True)
    assert made.after_break(lacks) == 0
    made.begin()
    assert (made.current.candidate.upstream, made.unsupported) == ("u1", UnsupportedFields.DROP)
    assert made.attempts == 2


def test_who_could_not_be_asked_to_make_an_answer_whole_is_no_attempt() -> None:
    made = succession(0, 0, 0)
    made.after_break(failed(FailureKind.CUT))
    made.begin()
    assert made.after_break(failed(FailureKind.UNSUPPORTED)) == 0
    made.begin()
    assert (made.current.candidate.upstream, made.attempts) == ("u2", 2)
