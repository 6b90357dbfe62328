"""What a provider's refusals mean to callers, and which of them pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from penstock_common.errors import InvalidRequest, Overloaded, PenstockError, UpstreamFailed
from penstock_common.http.retrying import may_pass, retry_after

_REFUSED_INPUT = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)
_MOST_WAIT = timedelta(seconds=30)
# Longer than this nobody means who wants to be asked again.
_LONGEST_MEANT = timedelta(seconds=3000)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is none: what callers are told, whether it may pass, and when to ask again."""

    error: PenstockError
    may_pass: bool
    retry_after: timedelta | None = None


def refusal_of(status: int, headers: Mapping[str, str], upstream: str) -> Refusal:
    """Return what a status means. The provider's own words stay here: they may quote the input or the account."""
    if status in _REFUSED_INPUT:
        return Refusal(
            InvalidRequest(f"The provider '{upstream}' refused the input: too long, perhaps.", field="inputs"),
            may_pass=False,
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = _wait(headers)
        busy = Overloaded(f"The provider '{upstream}' is busy. Try again.", retry_after=wait or timedelta(seconds=1))
        return Refusal(busy, may_pass=True, retry_after=wait)
    failed = UpstreamFailed(f"The provider '{upstream}' answered with status {status}.", upstream=upstream)
    return Refusal(failed, may_pass(status), _wait(headers))


def _wait(headers: Mapping[str, str]) -> timedelta | None:
    wait = retry_after(headers)
    return None if wait is None or wait >= _LONGEST_MEANT else min(wait, _MOST_WAIT)
