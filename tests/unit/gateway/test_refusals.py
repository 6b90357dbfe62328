"""What is counted of refusals, and that a key is let in again."""

from __future__ import annotations

import pytest

from penstock_common import errors
from penstock_gateway.domain.life.refusals import REFUSED_REQUESTS, Refusals

WRONG = errors.InvalidRequest("no")


@pytest.fixture
def refusals(clock):
    return Refusals(60, clock.monotonic)


def fill(refusals, key="k", error=WRONG, body_bytes=0, times=60):
    for _ in range(times):
        refusals.note(key, error, body_bytes)


def is_full(refusals, key="k"):
    try:
        refusals.check(key)
    except errors.RateLimited:
        return True
    return False


@pytest.mark.parametrize(
    "error",
    [
        WRONG,
        errors.UnsupportedParameter("no"),
        errors.ModelNotFound("no"),
        errors.ModelNotPermitted("no"),
        errors.ContextLengthExceeded("no"),
        errors.RateLimited("no", limit="requests_per_minute"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_caller_does_counts(refusals, error):
    fill(refusals, error=error, times=59)
    assert not is_full(refusals)
    refusals.note("k", error, 0)
    with pytest.raises(errors.RateLimited, match="60 are allowed") as refused:
        refusals.check("k")
    assert (refused.value.limit, refused.value.retry_after.total_seconds()) == (REFUSED_REQUESTS, 1)


@pytest.mark.parametrize(
    "error",
    [
        errors.Overloaded("no"),
        errors.ServiceUnavailable("no"),
        errors.InternalError(),
        errors.UpstreamFailed("no"),
        errors.RateLimited("no", limit=REFUSED_REQUESTS),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_doing_of_the_callers_does_not_count(refusals, error):
    fill(refusals, error=error, times=100)
    assert not is_full(refusals)


def test_a_large_body_counts_by_its_size(refusals):
    refusals.note("k", WRONG, 60 * 256 * 1024)
    assert is_full(refusals)


def test_a_key_is_let_in_again_as_its_bucket_leaks_however_often_it_asks(refusals, clock):
    fill(refusals, times=500)
    for _ in range(100):
        assert is_full(refusals)
    clock.advance(1)
    assert not is_full(refusals)


def test_one_who_is_refused_less_than_leaks_is_never_full_and_is_forgotten(refusals, clock):
    for _ in range(300):
        refusals.note("k", WRONG, 0)
        assert not is_full(refusals)
        clock.advance(1)
    refusals.check("k")
    assert not refusals.buckets


def test_keys_are_apart_and_their_number_is_bounded(refusals):
    fill(refusals)
    assert not is_full(refusals, "other")
    for number in range(10_000):
        refusals.note(f"k{number}", WRONG, 0)
    assert len(refusals.buckets) == 10_000
