"""What a provider's refusals mean: to callers, and for whom to ask next."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from penstock_common.errors import InvalidRequest, Overloaded, UpstreamFailed, UpstreamTimeout
from penstock_common.http.failures import ConnectFailed, ConnectTimedOut, HttpFailure, TlsFailed
from penstock_common.http.retrying import may_pass, retry_after
from penstock_embedding.domain.failure import Again, AttemptFailed

_REFUSED_INPUT = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)
_REFUSED_KEY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN)


def refusal_of(status: int, headers: Mapping[str, str], upstream: str) -> AttemptFailed:
    """Return what a status means. The provider's own words stay here: they may quote the input or the account."""
    if status in _REFUSED_INPUT:
        refused = InvalidRequest(f"The provider '{upstream}' refused the input: too long, perhaps.", field="inputs")
        return AttemptFailed(refused, Again.NOWHERE, "input")
    failed = UpstreamFailed(f"The provider '{upstream}' answered with status {status}.", upstream=upstream)
    if status in _REFUSED_KEY:
        return AttemptFailed(failed, Again.ELSEWHERE, "key")
    wait = retry_after(headers)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        busy = Overloaded(f"The provider '{upstream}' is busy. Try again.")
        if wait is not None:
            busy.retry_after = wait
        return AttemptFailed(busy, Again.OTHERS_FIRST, "rate_limited", wait)
    return AttemptFailed(failed, Again.HERE if may_pass(status) else Again.ELSEWHERE, "status", wait)


def silence_of(upstream: str, stage: str) -> AttemptFailed:
    """Return what it means that nothing came in time."""
    error = UpstreamTimeout(f"The provider '{upstream}' was silent.", upstream=upstream, stage=stage)
    return AttemptFailed(error, Again.ELSEWHERE, "timeout")


def failure_of(failure: HttpFailure, upstream: str) -> AttemptFailed:
    """Return what an exchange means that came to no answer."""
    if isinstance(failure, ConnectTimedOut):
        return silence_of(upstream, "connect")
    error = UpstreamFailed(f"The provider '{upstream}' gave no proper answer.", upstream=upstream)
    if isinstance(failure, TlsFailed):
        return AttemptFailed(error, Again.ELSEWHERE, "connect")
    return AttemptFailed(error, Again.HERE, "connect" if isinstance(failure, ConnectFailed) else "cut")


def malformed_of(upstream: str) -> AttemptFailed:
    """Return what it means that an answer is no set of vectors for these texts."""
    error = UpstreamFailed(f"The provider '{upstream}' gave no proper answer.", upstream=upstream)
    return AttemptFailed(error, Again.OTHERS_FIRST, "malformed")
