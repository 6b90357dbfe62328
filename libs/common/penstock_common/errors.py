"""Every way a request can fail, without a word of any transport.

PenstockError
├── InvalidRequest            a field is wrong
│   └── UnsupportedParameter  a field nobody here can honour
├── ContextLengthExceeded     the conversation is longer than any model's window
├── InvalidCredentials        no key, or not one of ours
├── ScopeMissing              the key may not call this method
├── AddressNotPermitted       the key may not be used from there
├── RightsExceeded            the key may not give what it has not itself
├── PeerNotPermitted          the process may not call this role of the suite
├── ModelNotPermitted         the key may not use this model
├── ModelNotFound             no such model
├── NotCached                 only_if_cached, and nothing is cached
├── NothingRelevant           no passage of the knowledge bases answers, and none but such was wanted
├── ResourceNotFound          no such tenant, user, key or upstream
├── ResourceExists            the name is taken
├── ResourceState             its state does not permit the change
├── ResourceChanged           it is not what the caller has seen
├── IdempotencyKeyReused      another request was sent under the same idempotency key
├── IdempotencyInProgress     the request of the same idempotency key is not answered yet
├── RateLimited               too fast; retry helps
├── QuotaExhausted            the period's allowance is spent
├── Overloaded                shedding load or shutting down; retry helps
├── ServiceUnavailable        a service of the suite does not answer
├── NoHealthyUpstream         nobody left to ask
├── UpstreamFailed            asked, and it failed
├── UpstreamTimeout           asked, and it was silent
├── ContentRefused            the upstream's policy refused
├── GuardrailRefused          a rule of the operator's refused
├── DeadlineExceeded          the caller's own deadline passed
└── InternalError             our fault; the cause is in the log

``status`` maps these to gRPC and back; the HTTP surfaces render them in their
own shape. ``message`` is for the caller: it names what to change, and never
carries a secret or a cause of an internal failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

MAX_VIOLATIONS = 8
"""That an error tells: a status travels as metadata, which may not be long."""


class Violation(NamedTuple):
    """A limit that refuses: whose it is, such as ``team search``, and what it allows."""

    scope: str
    description: str


@dataclass(eq=False)
class PenstockError(Exception):
    """A failure with a message fit for the caller."""

    message: str

    def __post_init__(self) -> None:
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class InvalidRequest(PenstockError):
    """A field is wrong. ``field`` is its path, such as ``input.sampling.temperature``."""

    field: str = ""


@dataclass(eq=False)
class UnsupportedParameter(PenstockError):
    """A field that Penstock, or every candidate, cannot honour."""

    parameter: str = ""


@dataclass(eq=False)
class ContextLengthExceeded(PenstockError):
    """The conversation does not fit; sizes in tokens, 0 where unknown."""

    input_tokens: int = 0
    max_input_tokens: int = 0


@dataclass(eq=False)
class InvalidCredentials(PenstockError):
    """The key is missing, unknown, expired or revoked."""


@dataclass(eq=False)
class ScopeMissing(PenstockError):
    """The key lacks the scope that the method needs."""

    scope: str = ""


@dataclass(eq=False)
class AddressNotPermitted(PenstockError):
    """The key is not accepted from ``address``, which is empty where it is not known."""

    address: str = ""


@dataclass(eq=False)
class RightsExceeded(PenstockError):
    """The key would give a right that it has not. ``bound`` names which: allowed_networks or expires_at."""

    bound: str = ""


@dataclass(eq=False)
class PeerNotPermitted(PenstockError):
    """The names in the caller's certificate, ``peer``, are none of those that may call the ``role``."""

    peer: str = ""
    role: str = ""


@dataclass(eq=False)
class ModelNotPermitted(PenstockError):
    """The key may not use this model."""

    model: str = ""


@dataclass(eq=False)
class ModelNotFound(PenstockError):
    """No public model has this name."""

    model: str = ""


@dataclass(eq=False)
class NotCached(PenstockError):
    """The caller wanted a cached answer only, and there is none."""


@dataclass(eq=False)
class NothingRelevant(PenstockError):
    """The caller wanted an answer from knowledge bases only, and nothing relevant is in them."""


@dataclass(eq=False)
class ResourceNotFound(PenstockError):
    """There is no tenant, user, key or upstream of this name; ``kind`` says which of them."""

    kind: str = ""
    name: str = ""


@dataclass(eq=False)
class ResourceExists(PenstockError):
    """A tenant or user has this name already."""

    kind: str = ""
    name: str = ""


@dataclass(eq=False)
class ResourceState(PenstockError):
    """What it is now does not permit the change, such as rotating a revoked key."""

    kind: str = ""
    name: str = ""


@dataclass(eq=False)
class ResourceChanged(PenstockError):
    """It has changed since the caller has read it, such as a document that has another version."""

    kind: str = ""
    name: str = ""


@dataclass(eq=False)
class IdempotencyKeyReused(PenstockError):
    """Another request, or another route, was sent under the same idempotency key."""


@dataclass(eq=False)
class IdempotencyInProgress(PenstockError):
    """The request that was sent under the same idempotency key is not answered yet."""

    retry_after: timedelta = timedelta(seconds=1)


@dataclass(eq=False)
class RateLimited(PenstockError):
    """Too much at once; ``limit`` names which limit, ``scope`` whose it is, ``retry_after`` when to come again.

    ``violations`` are all limits that refuse, at most ``MAX_VIOLATIONS``, where they are known.
    """

    limit: str = ""
    retry_after: timedelta = timedelta(seconds=1)
    scope: str = ""
    violations: tuple[Violation, ...] = ()


@dataclass(eq=False)
class QuotaExhausted(PenstockError):
    """The period's allowance is spent; no retry helps before it ends.

    ``scope`` says whose it is, ``resets_at`` when it begins anew, as RFC 3339 has it in UTC; empty where it never does.
    """

    limit: str = ""
    scope: str = ""
    resets_at: str = ""
    violations: tuple[Violation, ...] = ()


@dataclass(eq=False)
class Overloaded(PenstockError):
    """This process sheds load or is shutting down."""

    retry_after: timedelta = timedelta(seconds=1)


@dataclass(eq=False)
class ServiceUnavailable(PenstockError):
    """A service of the suite did not answer."""

    service: str = ""
    retry_after: timedelta = timedelta(seconds=1)


@dataclass(eq=False)
class NoHealthyUpstream(PenstockError):
    """Every candidate of the model is out of service."""

    model: str = ""


@dataclass(eq=False)
class UpstreamFailed(PenstockError):
    """An upstream failed and no other could take over."""

    upstream: str = ""


@dataclass(eq=False)
class UpstreamTimeout(PenstockError):
    """An upstream was silent for too long.

    ``stage`` is one of connect, headers, first_token, whole, idle, total.
    """

    upstream: str = ""
    stage: str = ""


@dataclass(eq=False)
class ContentRefused(PenstockError):
    """The upstream's policy refused the content."""

    upstream: str = ""


@dataclass(eq=False)
class GuardrailRefused(PenstockError):
    """A rule of the operator's, named ``rule``, does not let the request through; never says what it has found."""

    rule: str = ""


@dataclass(eq=False)
class DeadlineExceeded(PenstockError):
    """The caller's own deadline passed."""


@dataclass(eq=False)
class InternalError(PenstockError):
    """Our fault. The text is fixed; the cause is in the log under the trace id."""

    message: str = "Internal error. Give the request id to the operator."
