"""What this instance can run: models, their prices, windows and timers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum

import msgspec

from penstock_common.llm.types import Candidate, UnitPrices
from penstock_inference.domain.model_facts import UNKNOWN_MODEL, ModelFacts
from penstock_inference.domain.price_steps import PriceStep


class Capability(Enum):
    """What a model can do, in the configuration's words."""

    CHAT = "chat"
    TOOLS = "tools"
    JSON_SCHEMA = "json_schema"
    VISION = "vision"
    PREFILL = "prefill"
    EMBEDDINGS = "embeddings"
    REASONING = "reasoning"
    RERANK = "rerank"
    MODERATION = "moderation"


FIRST_TOKEN = timedelta(seconds=30)
FIRST_TOKEN_WITH_OTHERS = timedelta(seconds=10)
# A reasoning model may think for minutes before it says anything.
FIRST_TOKEN_OF_REASONING = timedelta(seconds=300)
FIRST_TOKEN_OF_REASONING_WITH_OTHERS = timedelta(seconds=120)
WHOLE_PER_FIRST_TOKEN = 2
"""A whole answer comes at once, at its end: it may take this many times what the first token of a stream may."""


class WholeAnswers(Enum):
    """Whether a model is asked for an answer in one piece where the caller does not stream; else for a stream, joined here.

    In one piece it costs less, and nobody sees before its end whether it comes.
    """

    NEVER = "never"
    ALONE = "alone"
    """Where nobody else is left to ask, so that a silence seen early would help nobody."""
    ALWAYS = "always"


class TimerSeconds(msgspec.Struct, frozen=True, gc=False):
    """The timers of one attempt in seconds, reckoned once.

    ``hurried``: a caller's deadline made those shorter that end a stream before its first token; ``whole_hurried``: that of an
    answer in one piece.
    """

    connect: float
    headers: float
    first_token: float
    whole: float
    idle: float
    end: float
    total: float
    hurried: bool = False
    whole_hurried: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The timers of one attempt; ``idle`` is between content events, ``end`` after the answer's, the others from its start.

    ``whole`` stands in the place of ``headers`` and ``first_token`` where the
    upstream is asked for a whole answer; the two ``_with_others`` in the place of their kind while somebody else could
    answer, or go on with the answer.
    """

    connect: timedelta = timedelta(seconds=3)
    headers: timedelta = FIRST_TOKEN
    first_token: timedelta = FIRST_TOKEN
    whole: timedelta = FIRST_TOKEN * WHOLE_PER_FIRST_TOKEN
    idle: timedelta = timedelta(seconds=20)
    end: timedelta = timedelta(seconds=1)
    total: timedelta = timedelta(seconds=600)
    first_token_with_others: timedelta = FIRST_TOKEN_WITH_OTHERS
    idle_with_others: timedelta = timedelta(seconds=10)
    seconds: TimerSeconds = field(init=False, repr=False, compare=False)
    seconds_with_others: TimerSeconds = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [name for name in TimerSeconds.__struct_fields__ if not name.endswith("hurried")]
        seconds = TimerSeconds(*(getattr(self, name).total_seconds() for name in names))
        first_token, idle = self.first_token_with_others.total_seconds(), self.idle_with_others.total_seconds()
        with_others = msgspec.structs.replace(
            seconds,
            headers=min(seconds.headers, first_token),
            first_token=min(seconds.first_token, first_token),
            idle=min(seconds.idle, idle),
        )
        object.__setattr__(self, "seconds", seconds)
        object.__setattr__(self, "seconds_with_others", with_others)

    def beside_others(self, most_seconds: float) -> TimerSeconds:
        """Return the timers where another could be asked, for whom ``most_seconds`` before the first token leave enough."""
        seconds = self.seconds_with_others
        if most_seconds >= seconds.first_token and most_seconds >= seconds.whole:
            return seconds
        return msgspec.structs.replace(
            seconds,
            headers=min(seconds.headers, most_seconds),
            first_token=min(seconds.first_token, most_seconds),
            whole=min(seconds.whole, most_seconds),
            hurried=most_seconds < seconds.first_token,
            whole_hurried=most_seconds < seconds.whole,
        )

    @classmethod
    def of_reasoning_models(cls) -> Timeouts:
        """Return the defaults of models that think before they answer."""
        long = FIRST_TOKEN_OF_REASONING
        return replace(
            cls(),
            headers=long,
            first_token=long,
            whole=long * WHOLE_PER_FIRST_TOKEN,
            first_token_with_others=FIRST_TOKEN_OF_REASONING_WITH_OTHERS,
        )


@dataclass(frozen=True, slots=True)
class Model:
    """One model at one upstream; ``context_window_tokens`` is 0 where unknown.

    ``tier_prices``: of the tiers of service, beside the
    standard one, that callers may ask for. ``price_steps``: what long requests cost, by tier; ``""`` is the standard one.
    """

    candidate: Candidate
    context_window_tokens: int = 0
    capabilities: frozenset[Capability] = frozenset({Capability.CHAT})
    prices: UnitPrices = UnitPrices()
    timeouts: Timeouts = Timeouts()
    whole_answers: WholeAnswers = WholeAnswers.NEVER
    tier_prices: Mapping[str, UnitPrices] = field(default_factory=dict[str, UnitPrices])
    facts: ModelFacts = UNKNOWN_MODEL
    price_steps: Mapping[str, tuple[PriceStep, ...]] = field(default_factory=dict[str, tuple[PriceStep, ...]])
    search_unit_nano_usd: int = 0
    """What a search unit costs, where the upstream bills those."""
    provider: str = ""
    """The word of the configuration for who the upstream is, such as ``openai_compatible``; traces say it."""

    def is_asked_whole(self, *, others_left: bool) -> bool:
        """Return whether it is asked for an answer in one piece where the caller does not stream."""
        rule = self.whole_answers
        return rule is WholeAnswers.ALWAYS or (rule is WholeAnswers.ALONE and not others_left)


class Catalogue:
    """Finds a model by the candidate that names it."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._models = {(model.candidate.upstream, model.candidate.model): model for model in models}

    def find(self, candidate: Candidate) -> Model | None:
        """Return the model, or None where this instance does not know it."""
        return self._models.get((candidate.upstream, candidate.model))

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())
