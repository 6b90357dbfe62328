"""Who may answer, and what it costs."""

from __future__ import annotations

from enum import Enum
from typing import final

from penstock_common.llm.vocabulary.conversation import Value

NANO_USD_PER_USD = 1_000_000_000


TOKENS_PER_PRICE_UNIT = 1_000_000


class Candidate(Value, frozen=True):
    """One model at one upstream."""

    upstream: str
    model: str

    def __str__(self) -> str:
        return f"{self.upstream}/{self.model}"


GENERAL_TASK = "general"
"""The task of a prompt that nobody has classified, or that is none of the others."""


class UnitPrices(Value, frozen=True):
    """Prices of one model in nano-dollars per million tokens.

    Input that the provider's prompt cache is written with costs as other input where its price is 0, and for an hour as
    for less. ``is_unknown``: nobody knows them, or not of all that was billed: a cost made of them is not known, be it 0.
    """

    input_nano_usd: int = 0
    cached_input_nano_usd: int = 0
    output_nano_usd: int = 0
    cache_write_nano_usd: int = 0
    cache_write_1h_nano_usd: int = 0
    is_unknown: bool = False


class Decision(Value, frozen=True):
    """Which public model stands in for one with routes, and why.

    ``by`` names the line of the configuration that decided, such as ``routes.code.high``. ``task`` and ``complexity``
    (low, medium or high) are empty where no line asked for them, confidences are in [0, 1]. ``abstains``: the prompt told
    too little. ``by_vector``: the prompt's embedding counted, and not its words alone. ``passed_over``: the public models
    that came before and could not be taken, each with the reason. ``policy`` says by what the first candidate came first,
    ``figure`` how much of it, with its unit; empty where there is no policy, or nothing was known. ``best_prices`` are those
    of the best model that could have been chosen, None where they are not known.
    """

    model: str
    by: str
    task: str = ""
    complexity: str = ""
    task_confidence: float = 0.0
    complexity_confidence: float = 0.0
    abstains: bool = False
    by_vector: bool = False
    classifier: str = ""
    passed_over: tuple[str, ...] = ()
    policy: str = ""
    figure: str = ""
    best_prices: UnitPrices | None = None

    def __str__(self) -> str:
        seen = [f"task={self.task}; confidence={self.task_confidence:.2f}"] if self.task else []
        seen += [f"complexity={self.complexity}"] if self.complexity else []
        preferred = [f"policy={self.policy}"] if self.policy else []
        preferred += [f"at={self.figure}"] if self.figure else []
        return "; ".join([self.model, *seen, f"by={self.by}", *preferred])


class UnsupportedFields(Enum):
    """What becomes of a request's fields that no candidate takes, in the configuration's words."""

    REFUSE = "refuse"
    DROP = "drop"
    PASS = "pass"  # noqa: S105 - a word of the configuration, and no password


class Plan(Value, frozen=True):
    """Candidates in order of preference, what each is billed at (in the same order, or nothing), and why.

    ``decision`` says which model was chosen where the caller left that to the router.

    ``route_digest``: plans for one public model have equal ones where the same upstreams stand behind it in the same way.
    """

    candidates: tuple[Candidate, ...]
    reason: str = ""
    decision: Decision | None = None
    prices: tuple[UnitPrices, ...] = ()
    route_digest: bytes = b""
    unsupported: UnsupportedFields = UnsupportedFields.REFUSE


class CandidateView(Value, frozen=True):
    """A candidate of a public model, as far as a request's route goes.

    ``rank`` is 1 for whom the plan asks first, 0 where it does not name it; ``objection`` is why it cannot take the request,
    empty where it can. ``condition`` is what was last heard of it, empty where nothing was.
    """

    model: str
    candidate: Candidate
    rank: int = 0
    objection: str = ""
    region: str = ""
    context_window_tokens: int = 0
    prices: UnitPrices = UnitPrices()
    condition: str = ""
    latency_seconds: float | None = None


class RouteExplanation(Value, frozen=True):
    """How a request would be routed now; without a plan ``refusal`` says why there is none."""

    plan: Plan | None
    refusal: str = ""
    candidates: tuple[CandidateView, ...] = ()


class ModelInfo(Value, frozen=True):
    """A model that callers may name; ``capabilities`` and window (in tokens) are the best of its candidates.

    ``prices`` are its first candidate's, None where the configuration says none.
    """

    name: str
    capabilities: tuple[str, ...] = ()
    context_window_tokens: int = 0
    prices: UnitPrices | None = None


@final
class Usage(Value, frozen=True, tag="usage"):
    """Tokens counted by the model that answered.

    Input holds what was read from the provider's prompt cache and what was written to it, the latter what is kept for an hour.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cache_write_1h_input_tokens: int = 0


def cost_nano_usd(usage: Usage, prices: UnitPrices) -> int:
    """Return what ``usage`` costs, rounded half up once; nothing as far as the prices are not known."""
    written = usage.cache_write_input_tokens
    fresh_input_tokens = max(0, usage.input_tokens - usage.cached_input_tokens - written)
    total = (
        fresh_input_tokens * prices.input_nano_usd
        + usage.cached_input_tokens * prices.cached_input_nano_usd
        + usage.output_tokens * prices.output_nano_usd
    )
    if written:
        usual = prices.cache_write_nano_usd or prices.input_nano_usd
        for_an_hour = min(usage.cache_write_1h_input_tokens, written)
        total += (written - for_an_hour) * usual + for_an_hour * (prices.cache_write_1h_nano_usd or usual)
    return (total + TOKENS_PER_PRICE_UNIT // 2) // TOKENS_PER_PRICE_UNIT
