"""Requests that pass to an upstream as they are: which may, and how one does.

Nothing is tried twice: what a path does, nobody here knows. The upstream's first
address is asked with its first key, as what one key has made, such as a file, another
does not find.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from datetime import timedelta
from functools import lru_cache
from urllib.parse import unquote

import msgspec

from penstock_common.contract.relay import (
    NOT_SENT,
    RELAY_STEP,
    RelayPlace,
    RelayRequest,
    RelayRequestHead,
    RelayResponse,
    RelayResponseHead,
    RelayTerms,
)
from penstock_common.errors import InvalidRequest, RateLimited, ResourceNotFound, UpstreamTimeout
from penstock_common.priority import Priority
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_common.telemetry.steps import Step, Steps, end
from penstock_inference.domain.load.gate import Permit
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.relay_upstream import UpstreamNotReached

# Escapes within escapes: some servers undo them twice.
_MOST_ESCAPED = 3
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What may stand in a path (RFC 3986, pchar), and what common clients leave unescaped.
_ON_THE_WIRE = re.compile(r"/[!-\"$->@-~]*")
_QUERY = re.compile(r"[!-\"$-~]*")
_RETRY_AFTER = timedelta(seconds=1)
# What has a form of its own here, with its own limits, budgets and guards, passes none of them by: wherever in a path it
# stands, as what is below it (a batch of messages, a response made shorter) asks models as well.
_TYPED = re.compile(
    r"/(?:completions|complete|embeddings?|embed|embed-jobs|responses|messages|rerank|moderations|interactions|converse"
    r"|converse-stream|invoke|invoke-with-response-stream|api/generate|chat(?=/$)"
    r"|[^/]*:(?:(?:stream)?generatecontent|(?:async)?batch(?:generatecontent|embedcontents?)|embedcontents?"
    r"|generateanswer|(?:stream)?rawpredict))(?=/)"
)
_ASKING = frozenset({"POST", "PUT", "PATCH"})
# Servers leave a segment's parameters away (RFC 3986, 3.3), or take an escape for the beginning of a query.
_PARAMETERS = re.compile(r"[;?#][^/]*")
_NOT_OF_A_NAME = re.compile(r"[^a-z0-9._:/-]")


class RelayRule(msgspec.Struct, frozen=True):
    """A pattern of paths, the methods that may pass, and what one request costs (None: nobody knows).

    ``*`` stands for one segment, ``**`` at the end for any.
    """

    pattern: str
    methods: frozenset[str]
    price_nano_usd: int | None = None

    def takes(self, method: str, path: str) -> bool:
        """Return whether a request may pass; the path is without escapes."""
        return method in self.methods and _compiled(self.pattern).fullmatch(path) is not None


class RelayTermsOf(msgspec.Struct, frozen=True):
    """What of an upstream may be asked as it is, and the bound of a request's body."""

    rules: tuple[RelayRule, ...] = ()
    max_request_bytes: int = 0
    region: str = ""


class Relays:
    """All upstreams of one revision that are open to it."""

    def __init__(self, terms: Mapping[str, RelayTermsOf], pools: Mapping[str, Pool]) -> None:
        self._terms = terms
        self._pools = pools

    def find(self, place: RelayPlace) -> RelayTerms:
        """Return under which terms a request may pass.

        Raises:
            InvalidRequest: if the path could lead out of the upstream's.
            ResourceNotFound: if it may not, whatever the reason: callers learn nothing of upstreams that are not theirs.
        """
        path = plain_path(place.path)
        terms = self._terms.get(place.upstream)
        if terms is not None and (not place.allowed_regions or terms.region in place.allowed_regions):
            rule = next((rule for rule in terms.rules if rule.takes(place.method, path)), None)
            if rule is not None and not (place.method in _ASKING and _has_form(path)):
                return RelayTerms(rule.pattern, rule.price_nano_usd, terms.max_request_bytes)
        raise ResourceNotFound(
            f"'{place.method} {path[:256]}' of the upstream '{place.upstream[:64]}' does not exist, or is not open to "
            "requests that pass as they are ('raw' of the upstream).",
            kind="passthrough",
            name=place.upstream[:64],
        )

    async def pass_on(
        self, requests: AsyncIterator[RelayRequest], steps: Steps, priority: Priority
    ) -> AsyncGenerator[RelayResponse]:
        """Yield what the upstream answers, and record it; raises as ``find`` does, and ``RelayUpstream.exchange``."""
        head = await anext(aiter(requests), None)
        if not isinstance(head, RelayRequestHead):
            raise InvalidRequest("The first message must be a head.", field="head")
        if _QUERY.fullmatch(head.query) is None:
            raise InvalidRequest("The query must be as on the wire: ASCII, without spaces.", field="query")
        place, terms = head.place, self.find(head.place)
        pool = self._pools[place.upstream]
        relay = pool.endpoints[0].relay
        assert relay is not None, "it has rules"
        permit = await _permit(pool, priority)
        step = steps.begin(RELAY_STEP, upstream=place.upstream, method=place.method, path=terms.pattern)
        failed = "cancelled"
        try:
            async with aclosing(relay.exchange(head, _bounded(requests, terms.max_request_bytes))) as answer:
                async for response in answer:
                    _note(response, step)
                    yield response
            failed = ""
        except Exception as error:
            failed = type(error).__name__
            if isinstance(error, UpstreamNotReached) or (
                isinstance(error, UpstreamTimeout) and error.stage == "connect"
            ):
                step.attributes[NOT_SENT] = True
            raise
        finally:
            end(step, failed)
            if permit is not None:
                permit.leave(0)


def plain_path(path: str) -> str:
    """Return a path without escapes, each undone as often as any server might.

    Raises:
        InvalidRequest: if it does not stay below where it begins, whoever reads it.
    """
    plain = path
    for _ in range(_MOST_ESCAPED):
        plain = unquote(plain)
    segments = plain.replace("\\", "/").split("/")
    if (
        "%" in plain
        or _CONTROL.search(plain)
        or not _ON_THE_WIRE.fullmatch(path)
        or any(segment in (".", "..") or segment.partition(";")[0] in (".", "..") for segment in segments)
        or "" in segments[1:-1]
    ):
        raise InvalidRequest(
            "The path must be one below the upstream's: without '.', '..', empty segments or control characters.",
            field="path",
        )
    return plain


def _has_form(path: str) -> bool:
    """Return whether a path, without escapes, is one of a format that is served here, however a server may read it."""
    names = _PARAMETERS.sub("", path.replace("\\", "/").lower())
    return _TYPED.search(_NOT_OF_A_NAME.sub("", f"{names}/")) is not None


def _note(response: RelayResponse, step: Step) -> None:
    told = step.attributes
    if isinstance(response, RelayResponseHead):
        told["status"] = response.status
        told["response_bytes"] = 0
    else:
        told["response_bytes"] = int(told["response_bytes"]) + len(response)


async def _permit(pool: Pool, priority: Priority) -> Permit | None:
    gate = pool.gate
    if gate is None:
        return None
    if gate.try_enter(priority, 0) or await gate.try_enter_once_told(priority, 0):
        return Permit(gate, 0)
    if await gate.enter(CURRENT_SCOPE.get().tenant, priority, 0, gate.wait_seconds):
        return Permit(gate, 0, has_waited=True)
    upstream = pool.health.name
    raise RateLimited(
        f"{upstream}: its limits are reached. Try again.", limit=f"upstream {upstream}", retry_after=_RETRY_AFTER
    )


async def _bounded(requests: AsyncIterator[RelayRequest], most: int) -> AsyncGenerator[bytes]:
    size = 0
    async for piece in requests:
        if not isinstance(piece, bytes):
            raise InvalidRequest("A request has one head.", field="head")
        size += len(piece)
        if size > most:
            raise InvalidRequest(f"The body is larger than {most} bytes ('raw.max_request_bytes' of the upstream).")
        yield piece


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return what matches; there are as many patterns as the configuration has."""
    return re.compile("".join(map(_segment, pattern.split("/")[1:])))


def _segment(segment: str) -> str:
    if segment == "**":
        return "(?:/[^/]+)*/?"
    if segment == "*":
        return "/[^/]+"
    return "/" + re.escape(segment)
