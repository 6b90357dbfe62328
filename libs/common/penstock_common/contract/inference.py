"""What the inference service is asked, and what it answers: an answer's events in batches, its models, its upstreams."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from penstock_common.contract.upstream_batches import KeptAnswer
from penstock_common.llm.types import Batch, Candidate, GenerationInput, Plan, Value
from penstock_common.priority import Priority


class GenerateRequest(Value, frozen=True):
    """What to generate, and who may answer.

    ``whole``: the caller is told the answer once all of it is there. ``batches``:
    it reads several events of one response, as every caller of this version does.
    ``may_recover``: should the answer break off after some of it was sent, another
    attempt makes it whole. ``may_hedge``: should its first token be late, another may
    be asked beside who was. ``given`` is what others have been given of the answer by
    a generation that came to no end (``Started``, then deltas): the answer goes on from
    there, and only what follows is sent. ``given_is_owed``: nobody was billed for that. ``kept`` is what the plan's first candidate
    has answered within a batch: it is told as an answer, and nobody is asked.
    """

    input: GenerationInput
    plan: Plan
    whole: bool = False
    batches: bool = True
    may_recover: bool = True
    may_hedge: bool = True
    priority: Priority = Priority.DEFAULT
    given: Batch = ()
    given_is_owed: bool = False
    kept: KeptAnswer | None = None


class ModelState(Enum):
    """Whether a model can answer now; the value is what people read."""

    UNTOLD = ""
    """The upstream does not tell."""
    READY = "ready"
    LOADING = "loading"
    UNLOADING = "unloading"
    UNAVAILABLE = "unavailable"


class RunnableModel(Value, frozen=True):
    """A model of the catalogue with what its upstream says of it; its capabilities in the configuration's words."""

    candidate: Candidate
    context_window_tokens: int = 0
    capabilities: frozenset[str] = frozenset()
    state: ModelState = ModelState.UNTOLD
    state_reason: str = ""
    is_controllable: bool = False
    takes_batches: bool = False
    """Whether requests of it can be handed to its upstream as a batch, at a price that is known."""


class PlaceCondition(Enum):
    """What an upstream's place is good for; the value is what people read."""

    UNTOLD = ""
    OK = "ok"
    SLOW = "slow"
    """Answers, much later than it usually does: asked after those that do not."""
    COOLING = "cooling"
    """Its quota is used up for a time."""
    EJECTED = "ejected"
    """Left out until probes succeed."""
    PROBING = "probing"
    """Left out, and a probe is open or some have succeeded."""
    BY_HAND = "by hand"
    """Left out by the operator."""


class UpstreamPlace(Value, frozen=True):
    """One model at one endpoint of an upstream: what is in use or left out.

    State, reason and times are those that the replicas share; ``latency`` (to the first token), the counts and the last
    probe are the answering one's own. None stands for what is not known, or not limited; times are in UTC.
    """

    upstream: str
    endpoint: str = ""
    """Tells it from the upstream's others; no secret."""
    model: str = ""
    state: PlaceCondition = PlaceCondition.UNTOLD
    reason: str = ""
    since: datetime | None = None
    until: datetime | None = None
    latency: timedelta | None = None
    in_flight: int = 0
    waiting: int | None = None
    """Requests before the upstream's limits, whatever the model."""
    limit: int | None = None
    """How many requests the upstream takes at once now, said or learned."""
    probed_at: datetime | None = None
    probe_outcome: str = ""


class UpstreamAction(Enum):
    """What is done with an upstream."""

    PROBE = "probe"
    EJECT = "eject"
    RESTORE = "restore"


MAX_EJECTION = timedelta(days=30)


class UpstreamOrder(Value, frozen=True):
    """What the operator wants of an upstream, or of one ``model`` of it; the rest is of an ejection alone."""

    upstream: str
    action: UpstreamAction
    model: str = ""
    duration: timedelta | None = None
    """How long it is left out: longer than nothing, at most ``MAX_EJECTION``."""
    reason: str = ""
    force: bool = False
