"""What every surface does with a request's head: who asks, under which names, with how much time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import msgspec

from penstock_common.configuration import parse_duration
from penstock_common.contract.embedding import EmbedRequest
from penstock_common.contract.router import Policy as Preferred
from penstock_common.errors import AddressNotPermitted, InvalidRequest
from penstock_common.llm.types import Degradation, GenerationInput, RequestContext
from penstock_common.priority import PRIORITIES, Priority
from penstock_common.telemetry.steps import Steps
from penstock_common.telemetry.trace_context import TraceContext, TraceStarter
from penstock_gateway.domain.access.authentication import Authenticator
from penstock_gateway.domain.access.identity import TEAM_HEADER, Caller
from penstock_gateway.domain.access.networks import lies_within
from penstock_gateway.domain.access.policy import Policy
from penstock_gateway.domain.knowledge_use.use import KnowledgeUse
from penstock_gateway.domain.life.door import Door, Place
from penstock_gateway.domain.life.order import (
    DEFAULT_CACHE_CONTROL,
    CacheControl,
    Call,
    ChatOrder,
    EmbeddingOrder,
    ModerationOrder,
    RawOrder,
    RerankOrder,
)
from penstock_gateway.domain.limits.admission import Standing
from penstock_gateway.domain.limits.book import first_to_bind
from penstock_gateway.domain.limits.limit import Measure
from penstock_gateway.domain.prompts.content import PromptReference
from penstock_gateway.surfaces.cache_words import cache_control_in
from penstock_gateway.surfaces.client_address import ClientAddresses
from penstock_gateway.surfaces.feature import FEATURE_HEADER, featured
from penstock_gateway.surfaces.random_ids import RandomIds

AskedT = TypeVar("AskedT", EmbeddingOrder, RerankOrder, ModerationOrder, RawOrder)

BUDGET_HEADER = "x-penstock-budget"
SHADOW_HEADER = "x-penstock-shadow"
EXPERIMENT_HEADER = "x-penstock-experiment"
"""Tells an answer's part in an experiment, as ``name=variant``."""
KNOWLEDGE_HEADER = "x-penstock-knowledge"
"""Tells what was found in which knowledge bases, as ``hits=4; bases=docs``."""
REPLAYED_HEADER, ORIGINAL_HEADER = "idempotent-replayed", "x-penstock-original-request-id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# Names of fields, and our own words for what has none: "a turn's name", "tool_choice: none", "reasoning_effort=max".
_HARMLESS = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9_.:='-]+(?: [A-Za-z0-9_.:='-]+)*")
_SECONDS = re.compile(r"[0-9]+")
_REQUEST_ID_BYTES = 16
_GENERATION_ID_BYTES = 12
_BEARER = "bearer "


class Switch(NamedTuple):
    """A header that is ``on`` or ``off``, and what it decides."""

    name: str
    decides: str


_LEAST = Priority.SHEDDABLE
_RECOVERY = Switch("x-penstock-recovery", "an answer that breaks off is made whole by another attempt")
_HEDGE = Switch("x-penstock-hedge", "another may be asked, too, where the first token is late")
_COMPRESS = Switch("x-penstock-compress", "context is made shorter")
_DEGRADE = Switch("x-penstock-degrade", "less than the model's own answer will do where it has none")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """What callers get who set no deadline, and the most that they may set."""

    unary: timedelta = timedelta(seconds=60)
    stream: timedelta = timedelta(seconds=600)


# Seen by the garbage collector: ``peer`` leads to the call, and the error of a refused call leads back here.
class Arrival(msgspec.Struct, frozen=True):
    """A request's head: names, times, nothing of its body. Header names are in lower case."""

    surface: str
    headers: Mapping[str, str]
    request_id: str
    trace: TraceContext
    started_ns: int
    steps: Steps
    peer: Callable[[], str]
    """Returns the address at the connection's other end; empty where it has none. Asked by few, so not asked at once."""


def _no_peer() -> str:
    return ""


class Reception:
    """Receives requests for every surface."""

    def __init__(
        self,
        door: Door,
        authenticator: Authenticator,
        traces: TraceStarter,
        timeouts: Timeouts,
        addresses: ClientAddresses,
    ) -> None:
        self.door = door
        """Where an authorised request comes in, before its body is read."""
        self._authenticator = authenticator
        self._traces = traces
        self._timeouts = timeouts
        self._addresses = addresses
        self._ids = RandomIds()

    def new_request_id(self) -> str:
        """Return an id for a request that has none."""
        return self._ids.take(_REQUEST_ID_BYTES)

    def receive(self, surface: str, headers: Mapping[str, str], peer: Callable[[], str] = _no_peer) -> Arrival:
        """Return the request's head; a request id or trace that is absent or malformed starts here."""
        request_id = headers.get("x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = self.new_request_id()
        traceparent = headers.get("traceparent", "")
        trace = self._traces.start(
            traceparent, believed=not traceparent or self._addresses.believes_sampling(headers, peer)
        )
        return Arrival(surface, headers, request_id, trace, time.time_ns(), Steps(), peer)

    async def authorise(self, arrival: Arrival, policy: Policy) -> Caller:
        """Return whose key the request carries, if it may do what ``policy`` is for.

        Raises:
            InvalidCredentials, ScopeMissing, ServiceUnavailable: as ``Authenticator.authenticate``.
            AddressNotPermitted: the key names networks, and the request comes from elsewhere.
            RightsExceeded, InvalidRequest: as ``Caller.in_team``.
        """
        caller = await self._authenticator.authenticate(credential_in(arrival.headers), policy)
        if caller.networks:
            self._check_address(caller, arrival)
        if caller.teams or TEAM_HEADER in arrival.headers:
            caller = caller.in_team(arrival.headers.get(TEAM_HEADER, "").strip())
        arrival.steps.lap("authenticate", arrival.started_ns)
        return caller

    def enter(self, arrival: Arrival, caller: Caller) -> Place:
        """Let a request in, its body unread: as much as it matters by its headers.

        Raises:
            InvalidRequest: if they say what means nothing.
            TurnedAway, RateLimited: as ``Door.enter``.
        """
        if "x-penstock-priority" not in arrival.headers and caller.tenant.tier.priority is not Priority.SHEDDABLE:
            return self.door.enter(caller)
        return self.door.enter(caller, priority_of(priority_in(arrival.headers), caller))

    def address_of(self, arrival: Arrival) -> str:
        """Return the client's address; empty where it is not proven."""
        return self._addresses.of(arrival.headers, arrival.peer)

    def _check_address(self, caller: Caller, arrival: Arrival) -> None:
        address = self.address_of(arrival)
        if not lies_within(caller.networks, address):
            where = f"from {address}" if address else "from here: the client's address is not proven"
            raise AddressNotPermitted(f"The API key may not be used {where}.", address=address)

    def chat_call(
        self, arrival: Arrival, place: Place, request: GenerationInput, context: RequestContext, options: CallOptions
    ) -> Call[ChatOrder]:
        """Return the call that the gateway's domain takes."""
        caller = place.caller
        order = ChatOrder(
            request_id=arrival.request_id,
            generation_id=self._ids.take(_GENERATION_ID_BYTES),
            surface=arrival.surface,
            tenant=caller.tenant.name,
            key_id=caller.key_id,
            timeout=self._timeout(arrival.headers, options),
            context=featured(context, arrival.headers) if FEATURE_HEADER in arrival.headers else context,
            input=request,
            prompt=options.prompt,
            whole=not options.stream,
            may_recover=options.may_recover and is_on(arrival.headers, _RECOVERY),
            may_degrade=options.may_degrade
            and (_DEGRADE.name not in arrival.headers or is_on(arrival.headers, _DEGRADE)),
            may_hedge=options.may_hedge and (_HEDGE.name not in arrival.headers or is_on(arrival.headers, _HEDGE)),
            compress=is_on(arrival.headers, _COMPRESS) if _COMPRESS.name in arrival.headers else options.compress,
            knowledge=options.knowledge,
            policy=options.policy or (policy_in(arrival.headers) if "x-penstock-policy" in arrival.headers else None),
            priority=_priority(arrival.headers, caller, options),
            cache_control=options.cache_control
            or (cache_control_in(arrival.headers) if "x-penstock-cache" in arrival.headers else DEFAULT_CACHE_CONTROL),
        )
        return Call(order, caller, place, arrival.trace, arrival.steps, arrival.started_ns)

    def embedding_call(
        self, arrival: Arrival, place: Place, request: EmbedRequest, context: RequestContext, options: CallOptions
    ) -> Call[EmbeddingOrder]:
        """Return the call that the gateway's domain takes."""
        return self.call_of(EmbeddingOrder, arrival, place, (request, context), options)

    def call_of(
        self,
        kind: type[AskedT],
        arrival: Arrival,
        place: Place,
        asked: tuple[Any, RequestContext],
        options: CallOptions,
    ) -> Call[AskedT]:
        """Return the call of a ``kind`` of order that says nothing beside its input, which is the first of ``asked``."""
        caller, (value, context) = place.caller, asked
        order = kind(
            request_id=arrival.request_id,
            generation_id=self._ids.take(_GENERATION_ID_BYTES),
            surface=arrival.surface,
            tenant=caller.tenant.name,
            key_id=caller.key_id,
            timeout=self._timeout(arrival.headers, options),
            context=featured(context, arrival.headers) if FEATURE_HEADER in arrival.headers else context,
            input=value,
            priority=_priority(arrival.headers, caller, options),
        )
        return Call(order, caller, place, arrival.trace, arrival.steps, arrival.started_ns)

    def _timeout(self, headers: Mapping[str, str], options: CallOptions) -> timedelta:
        most = self._timeouts.stream if options.stream else self._timeouts.unary
        wanted = options.timeout or timeout_in(headers)
        return min(wanted, self._timeouts.stream) if wanted is not None else most


class CallOptions(msgspec.Struct, frozen=True, gc=False):
    """What a surface knows beside the body: streamed or not, its transport's deadline, its cache words.

    ``may_recover``: nothing but a header forbids that an answer that breaks off is made whole. ``may_degrade``: nor that
    another stands in for an answer that nobody can give. ``may_hedge``: nor that another is asked where the first token is
    late. ``compress``, ``priority``, ``policy`` and ``knowledge``: what the body says of them. ``prompt``: what stands before
    the input.
    """

    stream: bool
    timeout: timedelta | None = None
    cache_control: CacheControl | None = None
    may_recover: bool = True
    may_degrade: bool = True
    may_hedge: bool = True
    compress: bool | None = None
    priority: Priority | None = None
    prompt: PromptReference | None = None
    policy: Preferred | None = None
    knowledge: KnowledgeUse | None = None


def credential_in(headers: Mapping[str, str]) -> str:
    """Return the API key, from whichever header the client's SDK uses; empty where there is none."""
    authorization = headers.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return headers.get("x-api-key") or headers.get("api-key") or ""


def timeout_in(headers: Mapping[str, str]) -> timedelta | None:
    """Return what ``x-penstock-timeout`` says.

    Raises:
        InvalidRequest: if it is no duration, or zero.
    """
    text = headers.get("x-penstock-timeout")
    if text is None:
        return None
    try:
        timeout = parse_duration(text.strip())
    except ValueError as error:
        raise InvalidRequest(f"x-penstock-timeout: {error}.", field="x-penstock-timeout") from None
    if not timeout:
        raise InvalidRequest("x-penstock-timeout must be longer than 0.", field="x-penstock-timeout")
    return timeout


def priority_in(headers: Mapping[str, str]) -> Priority | None:
    """Return what ``x-penstock-priority`` says, None where it is not there.

    Raises:
        InvalidRequest: for a word that means nothing here.
    """
    word = headers.get("x-penstock-priority")
    if word is None:
        return None
    priority = PRIORITIES.get(word.strip().lower())
    if priority is None:
        raise InvalidRequest(
            f"x-penstock-priority must be one of {', '.join(PRIORITIES)}.", field="x-penstock-priority"
        )
    return priority


def policy_in(headers: Mapping[str, str]) -> Preferred:
    """Return what ``x-penstock-policy`` says, which is there.

    Raises:
        InvalidRequest: for a word that means nothing here.
    """
    try:
        return Preferred(headers["x-penstock-policy"].strip().lower())
    except ValueError:
        text = f"x-penstock-policy must be one of {', '.join(Preferred)}."
    raise InvalidRequest(text, field="x-penstock-policy")


def priority_of(asked: Priority | None, caller: Caller) -> Priority:
    """Return how much a request matters: what it asks for, or the default, and no more than its tier permits."""
    most = caller.tenant.tier.priority
    return max(Priority.DEFAULT if asked is None else asked, most)


def _priority(headers: Mapping[str, str], caller: Caller, options: CallOptions) -> Priority:
    """Return how much a request matters; its body's word counts more than its header's."""
    if options.priority is None and "x-penstock-priority" not in headers and caller.tenant.tier.priority is not _LEAST:
        return Priority.DEFAULT
    return priority_of(priority_in(headers) if options.priority is None else options.priority, caller)


def is_on(headers: Mapping[str, str], switch: Switch) -> bool:
    """Return what the switch's header says; a switch is on where it is not there.

    Raises:
        InvalidRequest: for a word that means nothing here.
    """
    word = headers.get(switch.name)
    if word is None:
        return True
    word = word.strip().lower()
    if word not in ("on", "off"):
        raise InvalidRequest(f"{switch.name} must be on or off: whether {switch.decides}.", field=switch.name)
    return word == "on"


def limit_headers(standings: Sequence[Standing], shadowed: Sequence[Standing]) -> list[tuple[str, str]]:
    """Return the ``x-ratelimit-*`` headers, in OpenAI's form, and what shadows would have refused; none without a limit.

    Of several limits of one kind, that is told of which the least part is left.
    """
    told: list[tuple[str, str]] = []
    for measure in (Measure.REQUESTS, Measure.TOKENS) if standings else ():
        standing = first_to_bind(standings, measure)
        if standing is not None:
            told += [
                (f"x-ratelimit-limit-{measure}", f"{standing.limit.allowance.amount}"),
                (f"x-ratelimit-remaining-{measure}", f"{standing.remaining}"),
                (f"x-ratelimit-reset-{measure}", go_duration(standing.reset)),
            ]
    if shadowed:
        names = ", ".join([f"{each.limit.scope}; {each.limit.name}" for each in shadowed])
        # A feature's name is a caller's word.
        told.append((SHADOW_HEADER, "".join([sign if " " <= sign <= "~" else "?" for sign in names])))
    return told


def replay_headers(request_id: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that tell that an answer was given before: to the request of that id."""
    return ((REPLAYED_HEADER, "true"), (ORIGINAL_HEADER, request_id))


def degradation_headers(degradation: Degradation, age_seconds: int | None) -> list[tuple[str, str]]:
    """Return the headers that tell what stands in for the model's own answer, and how old it is where it was kept."""
    age = [] if age_seconds is None else [("age", str(age_seconds))]
    return [("x-penstock-degraded", degradation.value), *age]


def dropped_names(names: tuple[str, ...]) -> str:
    """Return the fields that nobody was asked for, as ``x-penstock-dropped`` tells them: callers' words, so only harmless ones."""
    return ", ".join([name if _HARMLESS.fullmatch(name) else "(another field)" for name in names])


# Nearly always of the same duration, the limiter's window.
@lru_cache(maxsize=64)
def go_duration(duration: timedelta) -> str:
    """Return a duration as Go prints it: ``12ms``, ``1.5s``, ``6m0s``."""
    seconds = max(0.0, duration.total_seconds())
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    text = f"{rest:g}s"
    if minutes:
        hours, minutes = divmod(int(minutes), 60)
        text = f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"
    return text
