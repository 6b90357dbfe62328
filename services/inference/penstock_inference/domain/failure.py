"""What can go wrong with an attempt, and what each failure means for the request.

Pure: from a kind of failure to what to do next, and to what the caller sees.
The rows are those of the attempt engine's design.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from penstock_common import errors
from penstock_common.llm.types import Candidate

RETRY_AFTER_WHERE_NONE_IS_GIVEN = timedelta(seconds=1)


class Next(Enum):
    """What may follow a failed attempt that sent nothing to the caller."""

    RETRY = "retry"
    """Once more on the same candidate after a jittered pause, then the next one."""
    WAIT = "wait"
    """The next candidate at once; where there is none, the same one when the upstream said."""
    NEXT = "next"
    """The next candidate; this one would fail again."""
    LARGER = "larger"
    """The next candidate whose window is larger."""
    FINAL = "final"
    """Nobody else is asked."""


class Weight(Enum):
    """How much a failure tells the caller; the last of the weightiest is what they see."""

    OURS = 0
    """The candidate was not asked: nothing was learnt about the request."""
    SILENT = 1
    """Asked, and no usable word came back."""
    SAID = 2
    """The upstream said what is wrong."""


class FailureKind(Enum):
    """Every way an attempt can fail; the value is the ``outcome`` in traces."""

    UNSUPPORTED = "unsupported_parameter"
    CONNECT = "connect"
    CERTIFICATE = "certificate"
    TIMEOUT = "timeout"
    CUT = "cut"
    MALFORMED = "malformed"
    OVERSIZE = "oversize"
    EMPTY = "empty"
    CREDENTIALS = "credentials"
    MISCONFIGURED = "misconfigured"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"
    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    REFUSED = "refused"
    DEADLINE = "deadline"
    SATURATED = "saturated"
    """Its limits were reached, on our side, and it did not become one's turn in time: it was not asked."""
    HANDED_OVER = "handed_over"
    """Nobody's: whoever had it generated has left, or its process is gone, and others go on."""
    DIVERGED = "diverged"
    """It was to make a broken answer whole, and answers otherwise than what the caller has been sent."""
    ADAPTER = "adapter_error"
    """Our own code for this provider failed, for this request perhaps alone: nothing was learnt about its health."""


_MEANING: dict[FailureKind, tuple[Next, Weight]] = {
    FailureKind.UNSUPPORTED: (Next.NEXT, Weight.OURS),
    FailureKind.CONNECT: (Next.RETRY, Weight.SILENT),
    FailureKind.CERTIFICATE: (Next.NEXT, Weight.SILENT),
    # A silent upstream is not asked twice.
    FailureKind.TIMEOUT: (Next.NEXT, Weight.SILENT),
    FailureKind.CUT: (Next.RETRY, Weight.SILENT),
    FailureKind.MALFORMED: (Next.NEXT, Weight.SILENT),
    FailureKind.OVERSIZE: (Next.NEXT, Weight.SILENT),
    FailureKind.EMPTY: (Next.NEXT, Weight.SILENT),
    FailureKind.CREDENTIALS: (Next.NEXT, Weight.SILENT),
    FailureKind.MISCONFIGURED: (Next.NEXT, Weight.SILENT),
    FailureKind.QUOTA: (Next.NEXT, Weight.SILENT),
    FailureKind.SERVER_ERROR: (Next.RETRY, Weight.SAID),
    FailureKind.RATE_LIMITED: (Next.WAIT, Weight.SAID),
    FailureKind.BAD_REQUEST: (Next.NEXT, Weight.SAID),
    FailureKind.CONTEXT_LENGTH: (Next.LARGER, Weight.SAID),
    FailureKind.REFUSED: (Next.FINAL, Weight.SAID),
    FailureKind.DEADLINE: (Next.FINAL, Weight.SAID),
    FailureKind.SATURATED: (Next.NEXT, Weight.OURS),
    FailureKind.HANDED_OVER: (Next.NEXT, Weight.SILENT),
    FailureKind.DIVERGED: (Next.NEXT, Weight.SILENT),
    FailureKind.ADAPTER: (Next.NEXT, Weight.SILENT),
}


# The upstream is well: it refused a request that is at fault, or had no time.
_OF_THE_REQUEST = frozenset(
    {
        FailureKind.BAD_REQUEST,
        FailureKind.CONTEXT_LENGTH,
        FailureKind.REFUSED,
        FailureKind.DEADLINE,
        FailureKind.DIVERGED,
        FailureKind.SATURATED,
    }
)
# The upstream may have generated, and charge for, what never arrived.
_MAY_HAVE_COST = frozenset(
    {
        FailureKind.CUT, FailureKind.MALFORMED, FailureKind.OVERSIZE, FailureKind.EMPTY, FailureKind.DEADLINE,
    }
)  # fmt: skip


@dataclass(eq=False)
class AttemptFailed(Exception):
    """One attempt failed. ``detail`` ends a sentence that names the candidate and is fit for the caller."""

    kind: FailureKind
    detail: str = ""
    retry_after: timedelta | None = None
    stage: str = ""
    input_tokens: int = 0
    max_input_tokens: int = 0
    parameter: str = ""
    may_be_dropped: bool = False
    """The request can be asked without the parameter."""
    hurried: bool = False
    """A silence that was borne for a shorter time than the model is granted, as its caller had no more."""

    def __post_init__(self) -> None:
        super().__init__(self.detail)

    @property
    def next(self) -> Next:
        """What may follow."""
        return _MEANING[self.kind][0]

    @property
    def weight(self) -> Weight:
        """How much it tells the caller."""
        return _MEANING[self.kind][1]

    @property
    def outcome(self) -> str:
        """What it is called in traces: the kind, and of silences the timer that ended them."""
        return f"{self.kind.value}:{self.stage}" if self.stage else self.kind.value

    @property
    def was_asked(self) -> bool:
        """Whether the upstream has been asked at all."""
        return self.weight is not Weight.OURS

    @property
    def is_of_the_request(self) -> bool:
        """Whether it says nothing against the upstream."""
        return self.kind in _OF_THE_REQUEST

    @property
    def may_be_the_readers(self) -> bool:
        """Whether a reader who takes long can have used up the time that was over."""
        return self.stage == "total"

    @property
    def may_have_cost(self) -> bool:
        """Whether the upstream may charge for an answer that never arrived."""
        return self.kind in _MAY_HAVE_COST or (self.kind is FailureKind.TIMEOUT and self.stage != "connect")


def unsupported(parameter: str, why: str = "is not supported", *, may_be_dropped: bool = False) -> AttemptFailed:
    """Return the failure of a candidate that cannot honour a field, which ``parameter`` names by the contract's path."""
    return AttemptFailed(
        FailureKind.UNSUPPORTED, f"{parameter} {why}", parameter=parameter, may_be_dropped=may_be_dropped
    )


def weightier(first: AttemptFailed | None, second: AttemptFailed) -> bool:
    """Return whether ``second``, which came later, tells the caller at least as much."""
    return first is None or second.weight.value >= first.weight.value


_WAYS_OUT = {
    False: "; no candidate of this model takes it. Leave it out, or ask another model.",
    True: "; no candidate of this model takes it. Leave it out; or have 'unsupported: drop' set for the model, which sends "
    "requests without it, 'unsupported: pass', which sends it all the same, or 'passthrough: true' for an upstream that "
    "takes it.",
}


def error_before_content(failure: AttemptFailed, candidate: Candidate) -> errors.PenstockError:
    """Return what the caller sees when nothing was sent and nobody is left to ask."""
    message = f"{candidate}: {failure.detail}"
    match failure.kind:
        case FailureKind.UNSUPPORTED:
            return errors.UnsupportedParameter(
                f"{message}{_WAYS_OUT[failure.may_be_dropped]}", parameter=failure.parameter
            )
        case FailureKind.TIMEOUT:
            return errors.UpstreamTimeout(message, upstream=candidate.upstream, stage=failure.stage)
        case FailureKind.RATE_LIMITED | FailureKind.SATURATED:
            retry_after = failure.retry_after or RETRY_AFTER_WHERE_NONE_IS_GIVEN
            return errors.RateLimited(message, limit=f"upstream {candidate.upstream}", retry_after=retry_after)
        case FailureKind.BAD_REQUEST:
            return errors.InvalidRequest(message, field=failure.parameter or "input")
        case FailureKind.CONTEXT_LENGTH:
            return errors.ContextLengthExceeded(
                message, input_tokens=failure.input_tokens, max_input_tokens=failure.max_input_tokens
            )
        case FailureKind.REFUSED:
            return errors.ContentRefused(message, upstream=candidate.upstream)
        case FailureKind.DEADLINE:
            return errors.DeadlineExceeded(f"The deadline passed before an answer began; {message}.")
        case _:
            return errors.UpstreamFailed(message, upstream=candidate.upstream)


def error_within_answer(failure: AttemptFailed, candidate: Candidate, delivered: str) -> errors.PenstockError:
    """Return what the caller sees when the answer broke off; ``delivered`` says how much was sent."""
    message = f"{candidate}: {failure.detail}; the answer broke off after {delivered}."
    match failure.kind:
        case FailureKind.DEADLINE:
            return errors.DeadlineExceeded(f"The deadline passed within the answer, after {delivered}.")
        case FailureKind.TIMEOUT:
            return errors.UpstreamTimeout(message, upstream=candidate.upstream, stage=failure.stage)
        case _:
            return errors.UpstreamFailed(message, upstream=candidate.upstream)
