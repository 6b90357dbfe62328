"""Tells a caller, in its own format, why it gets no answer."""

from __future__ import annotations

import structlog

from penstock_common.errors import InternalError, PenstockError, QuotaExhausted, RateLimited
from penstock_gateway.surfaces.http1.failures import BodyTooLarge, BodyTooSlow, UnsupportedEncoding
from penstock_gateway.surfaces.http1.lines import header_lines, printable
from penstock_gateway.surfaces.http1.messages import HttpResponse
from penstock_gateway.surfaces.wire_formats.format import Family

# What HTTP has a number for, and the suite's errors have not.
_OWN_STATUS: dict[type[PenstockError], int] = {BodyTooLarge: 413, BodyTooSlow: 408, UnsupportedEncoding: 415}

_log = structlog.get_logger(__name__)


def known(error: Exception) -> PenstockError:
    """Return what a caller may hear of an error; what was not foreseen is logged, and no business of a caller's."""
    if isinstance(error, PenstockError):
        return error
    _log.error("unexpected_error", exc_info=error)
    return InternalError()


def limit_header(error: PenstockError) -> tuple[tuple[bytes, bytes], ...]:
    """Return which limit refused: whose it is, and its name."""
    if not isinstance(error, RateLimited | QuotaExhausted) or not error.scope:
        return ()
    return ((b"x-penstock-limit", printable(f"{error.scope}; {error.limit}").encode("latin-1", "replace")),)


def id_lines(family: Family, request_id: str) -> bytes:
    """Return the line in which a vendor's SDK looks for a request's id, where it has one of its own."""
    return b"" if family.request_id_line is None else family.request_id_line(request_id)


def refuse(response: HttpResponse, family: Family, error: Exception, lines: bytes) -> PenstockError:
    """Answer with the error, ``lines`` under its own headers, and return what was told of it.

    Raises:
        Exception: the error, if another answer has begun.
    """
    if response.is_begun:
        raise error
    told = known(error)
    rendered = family.error_response(told)
    status = _OWN_STATUS.get(type(told), rendered.status)
    response.whole(status, header_lines(rendered.headers) + lines, rendered.body)
    return told
