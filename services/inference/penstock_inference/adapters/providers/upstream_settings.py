"""What the configuration says of any upstream, whoever provides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from penstock_common.configuration import MAX_INT32, Duration, Secret, Section
from penstock_common.datasheet.sheet import CapabilityName, Facts
from penstock_common.faults import refuse
from penstock_common.prices import Price
from penstock_common.routes import ScoreByTask, TokensByTask
from penstock_inference.adapters.providers.raw_settings import RawSettings
from penstock_inference.domain.catalogue import WholeAnswers
from penstock_inference.domain.tiers import STANDARD


class TimeoutSettings(Section):
    """The timers of one attempt; what is not said has the default of the model's kind."""

    connect: Duration | None = None
    """Until a connection stands; 3 s."""
    headers: Duration | None = None
    """Defaults to ``first_token``."""
    first_token: Duration | None = None
    """30 s; 300 s for models with ``reasoning``, whose thoughts count as content."""
    first_token_with_others: Duration | None = None
    """The same while another candidate is left: 10 s; 120 s for models with ``reasoning``. Defaults to ``first_token`` where
    that is said."""
    whole: Duration | None = None
    """Until an answer that was asked for in one piece is there, in the place of ``headers`` and ``first_token``. Defaults
    to twice ``first_token``. Where another candidate could be asked, at most half of what the caller's deadline leaves."""
    idle: Duration | None = None
    """20 s between content events; pings do not count."""
    idle_with_others: Duration | None = None
    """The same while another candidate is left, which would go on with the answer: 10 s. Defaults to ``idle`` where that is
    said."""
    end: Duration | None = None
    """1 s: how long the end of the response, and the usage that may come before it, is waited for once the answer has
    come to its end. Then it is whole without."""
    total: Duration | None = None
    """The whole attempt; 600 s."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        refuse(
            ((name,), "it must be longer than nothing")
            for name, value in values
            if value is not None and value.total_seconds() <= 0
        )
        return self


class LimitSettings(Section):
    """What the upstream takes, as far as you know it: whoever does not fit waits here for a turn, and is not refused there.

    It is what all processes of the inference service may ask together. They share it through ``redis.state``; without, each has
    its part of it by ``processes``.
    """

    requests_per_minute: Annotated[int, Field(gt=0)] | None = None
    """Requests in any minute; a sixth of them may come at once."""
    tokens_per_minute: Annotated[int, Field(gt=0)] | None = None
    """Tokens in any minute: a request counts with its prompt and its `max_tokens`, and is corrected by what it took."""
    concurrent_requests: Annotated[int, Field(gt=0)] | None = None
    """Requests at once. Each process has an equal part of them, one at least."""
    adaptive: bool = False
    """Learn how many the upstream takes at once: of a provider by its refusals (a tenth less for each, one more while all goes
    well), of your own GPU (Triton, vLLM, Ollama) by how the time to the first token grows. Between 2 and 1000, at first 100."""
    processes: Annotated[int, Field(gt=0)] = 1
    """How many processes share the limits where Redis does not tell: there is none, or it was away since this one began."""
    most_waiting: Annotated[int, Field(gt=0)] = 1000
    """How many wait in one process; then the least important, of the tenant with the most, is shed."""
    wait: Duration = timedelta(seconds=10)
    """How long a request waits where no other candidate is left; else `rate_limited.wait`."""

    @field_validator("wait")
    @classmethod
    def _not_in_the_past(cls, value: timedelta) -> timedelta:
        if value < timedelta():
            raise ValueError("it must not be negative; 0s never waits")
        return value

    @property
    def are_none(self) -> bool:
        """Whether nothing limits the upstream."""
        said = (self.requests_per_minute, self.tokens_per_minute, self.concurrent_requests)
        return not self.adaptive and said == (None, None, None)


class RateLimitedSettings(Section):
    """What is done about an upstream that says that its rate limit is reached, and when to come again."""

    wait: Duration = timedelta(seconds=2)
    """A time no longer than this is waited for, although another candidate could be asked; 0s: never."""


class ModelSettings(Section):
    """A model at an upstream; ``name`` is the upstream's own."""

    name: Annotated[str, Field(min_length=1)]
    """The upstream's own name of it; candidates name it after their `/`."""
    base_model: str = ""
    """What the datasheet calls it, where ``name`` is your own word for it: a deployment of Azure's, an ARN."""
    context_window: Annotated[int, Field(gt=0, le=MAX_INT32)]
    """Tokens, question and answer together. The datasheet may know it."""
    capabilities: list[CapabilityName] = ["chat"]
    """What it can do. A request that needs one goes to models that have it. The datasheet may know it."""
    price: Price | None = None
    """What it costs. Not said: what the datasheet says, else nobody knows, and answers tell no cost. One without ``input``
    completes the datasheet's."""
    service_tiers: dict[str, Price] = {}
    """What tiers of service cost that callers may ask for, by the name in ``service_tier`` (or ``speed``), such as
    ``priority``. Any other tier is refused; the standard one costs ``price``."""
    facts: Facts = Facts()
    """What it takes and refuses; what is not said is as in the datasheet."""
    quality: ScoreByTask | None = None
    """How good its answers were in your own evaluation, from 0 to 1: a number, or numbers by task with `default` for the rest.
    For the policies ``quality`` and ``balanced``. Not said: ``router.quality_prior``."""
    output_tokens: TokensByTask | None = None
    """What an answer of it usually has, reasoning included: a number, or numbers by task with `default` for the rest. For the
    policies ``cost`` and ``balanced``. Not said: ``router.output_tokens``."""
    search_price: Annotated[Decimal, Field(ge=0, le=1_000_000)] | None = None
    """Of a model that reranks: what a thousand search units cost, in USD, where the upstream bills those (Cohere: a query with
    up to a hundred documents is one) beside or in place of tokens. Without ``price``, tokens cost nothing then."""
    chat_template: Path | None = None
    """Triton only: a Jinja file by Hugging Face's convention. Default: ChatML."""

    @field_validator("service_tiers")
    @classmethod
    def _named(cls, value: dict[str, Price]) -> dict[str, Price]:
        for name in value:
            if name in STANDARD or name != name.lower():
                raise ValueError(
                    f"'{name}' is no name of a tier: it is written small, and the standard one has 'price'"
                )
        return value


class UpstreamSettings(Section):
    """Whom we call, and what they serve. A provider's own class says where it is, and what else it can be told."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[^/\s]+$")]
    """How candidates name it, before their `/`."""
    provider: str
    """Who it is: the names that docs/providers.md has."""
    api_key: Secret = Secret("")
    """What it asks for; write `${NAME}` rather than the key itself."""
    quota_group: str = ""
    """Upstreams with the same word here share one quota: when one is refused for its rate limit, none of them is asked
    before the time is over. Not said: the upstream has one of its own, for all its models."""
    rate_limited: RateLimitedSettings = RateLimitedSettings()
    region: str = ""
    """Where it processes data; tenants may be kept to regions."""
    prefix_affinity: Annotated[float, Field(ge=0, le=100)] | None = None
    """Where several addresses or keys serve the models: how many times longer a request may have to wait at the one that has
    the beginning of its conversation in its cache, before another is asked; 0: it makes no difference. Not said: 2 of your
    own GPU (Triton, vLLM, Ollama), else 0."""
    passthrough: bool = False
    """Takes top-level request fields that Penstock does not know."""
    raw: RawSettings = RawSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    limits: LimitSettings = LimitSettings()
    models: Annotated[list[ModelSettings], Field(min_length=1)]

    @model_validator(mode="after")
    def _distinct_models(self) -> Self:
        names = [model.name for model in self.models]
        refuse(
            (("models", index, "name"), f"the upstream '{self.name}' has the model '{name}' twice")
            for index, name in enumerate(names)
            if name in names[:index]
        )
        return self

    @model_validator(mode="after")
    def _passable(self) -> Self:
        if self.raw.paths and self.key_headers() is None:
            refuse(
                [(("raw",), f"requests to the upstream '{self.name}' are signed one by one: none can pass as it is")]
            )
        return self

    def key_headers(self) -> Mapping[str, str] | None:
        """Return the headers that say who we are; None where each request is signed, or nothing speaks HTTP."""
        return None

    def makings(self) -> tuple[object, ...]:
        """Return what its connections are made of: an upstream of equal makings is the same one."""
        beside = {"region", "timeouts", "models"}
        own = ((name, getattr(self, name)) for name in type(self).model_fields if name not in beside)
        return (*own, any(model.service_tiers for model in self.models))

    @property
    def quotas(self) -> Literal["one", "by key"]:
        """Return whether all keys share one quota."""
        return "one"

    @property
    def takes_reasoning(self) -> bool:
        """Return whether it is to be handed back the signed or hidden reasoning that it gave with calls."""
        return False

    def endpoints(self) -> Sequence[tuple[str, Self]]:
        """Return the places that serve the models, each as an upstream of one, by a name that holds no secret."""
        return [("", self)]

    def asks_whole(self, model: ModelSettings) -> WholeAnswers:
        """Return whether the model is asked for a whole answer where the caller does not stream."""
        return WholeAnswers.NEVER
