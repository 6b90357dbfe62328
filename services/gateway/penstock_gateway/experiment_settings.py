"""What the gateway reads of experiments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from penstock_common.configuration import RELOADED, Duration, Section
from penstock_common.faults import KeyPath, nearest, refuse
from penstock_gateway.domain.experiments.definition import (
    CONTROL,
    AdaptiveShares,
    Experiment,
    Measure,
    Metric,
    Unit,
    Variant,
)

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_PROMPT_VERSION = r"^([A-Za-z0-9][A-Za-z0-9._-]{0,127}@[1-9][0-9]{0,8})?$"
_TINY = 1e-9


def _read_moment(value: Any) -> datetime:
    """Return the time that YAML has read, or that a text says."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise PydanticCustomError("moment", "a time such as 2026-01-31T08:00:00Z is expected") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Moment = Annotated[datetime, BeforeValidator(_read_moment)]


class VariantSettings(Section):
    """What a share of those who ask gets instead; whoever is in no share is the control."""

    name: Name
    """Letters, digits, `.`, `_` and `-`; not `control`."""
    share: Share = 0.0
    """From 0 to 1. One that grows takes from the control alone."""
    model: str = ""
    """The public model that is asked; for another policy, one that has it."""
    prompt: Annotated[str, Field(pattern=_PROMPT_VERSION)] = ""
    """`name@version` of a registered prompt, for who names that prompt and leaves the version open."""


class MetricSettings(Section):
    """A figure by which variants are compared."""

    name: Metric
    """`cost` in dollars and `latency` in seconds, of answers that were generated; `error_rate`; `feedback` from 0 to 1."""
    direction: Annotated[str, Field(pattern="^(lower|higher)$")] | None = None
    """What is better: `lower` or `higher`; unset: `higher` of feedback, else `lower`."""
    guardrail: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """A variant that is certainly worse by more ends the experiment: for `error_rate` and `feedback` in absolute terms
    (0.02: two points), else as a part of the control's mean (0.1: a tenth)."""

    def measure(self) -> Measure:
        """Return it as the domain knows it."""
        more = self.name.more_is_better if self.direction is None else self.direction == "higher"
        return Measure(metric=self.name, more_is_better=more, guardrail=self.guardrail)


class AdaptiveSettings(Section):
    """Shares follow what is seen (Thompson sampling) inside these bounds, which hold for the control, too."""

    least: Share = 0.1
    """The least share of each."""
    most: Share = 0.9
    """The most."""


class ExperimentSettings(Section):
    """A comparison of variants on some public models, or on a registered prompt."""

    name: Name
    """Letters, digits, `.`, `_` and `-`."""
    models: list[str] = []
    """Public models whose requests take part; no two experiments may have one in common. None where prompts are varied: then
    requests take part that name the prompt, and neither a version nor a label but `production`."""
    unit: Unit = Unit.USER
    """Whom a variant stays with: `user`, `conversation` or `key`. A request that names no user has its conversation's (the
    tag `conversation`, else its first turn), one without that its key's."""
    variants: Annotated[list[VariantSettings], Field(min_length=1, max_length=8)]
    """What is compared with the control, which has what their shares leave."""
    metrics: list[MetricSettings] = []
    """The first decides; those with a guardrail can end it. None: `cost` alone."""
    minimum_samples: Annotated[int, Field(ge=100)] = 200
    """Units of each variant before anything is said of it: what holds at every look holds for means of many."""
    planned_samples: Annotated[int, Field(ge=100)] = 10_000
    """Units of all variants at which intervals are to be narrowest; they hold before and after it."""
    error_probability: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Of any wrong call, over all looks and variants."""
    near: Share = 0.01
    """A difference within this part of the control's mean is as good as none."""
    starts_at: Moment | None = None
    """When it begins; unset: at once. Without a zone in UTC."""
    ends_at: Moment | None = None
    """When it is over and everybody gets the control; unset: when it is stopped."""
    shadow: bool = False
    """Whether variants answer beside the control, of so many requests as their share says, and nobody is shown it."""
    adaptive: AdaptiveSettings | None = None
    """Unset: shares stay as they are set."""
    salt: Annotated[str, Field(max_length=64)] = ""
    """Another divides the units anew; unset: the name."""

    @model_validator(mode="after")
    def _consistent(self) -> ExperimentSettings:
        of_kind = self._prompts_at_odds() if self._varies_prompts else self._models_at_odds()
        refuse([*self._variants_at_odds(), *of_kind, *self._rules_at_odds()])
        return self

    def _variants_at_odds(self) -> Iterator[tuple[KeyPath, str]]:
        names = Counter(variant.name for variant in self.variants)
        for index, variant in enumerate(self.variants):
            at = ("variants", index)
            if variant.name == CONTROL:
                yield (*at, "name"), "the control is whoever has no variant; leave it out, or name this one otherwise"
            elif names[variant.name] > 1:
                yield (*at, "name"), f"the variant '{variant.name}' is defined twice"
        total = sum(variant.share for variant in self.variants)
        if total > 1 + _TINY:
            yield ("variants",), f"the variants' shares are {total:.0%} together; at most 100 % can be given"

    @property
    def _varies_prompts(self) -> bool:
        return any(variant.prompt for variant in self.variants)

    def _models_at_odds(self) -> Iterator[tuple[KeyPath, str]]:
        if not self.models:
            yield ("models",), "name the public models whose requests take part, or let the variants name a `prompt`"
        for index, variant in enumerate(self.variants):
            at = ("variants", index, "model")
            if not variant.model:
                yield at, f"the variant '{variant.name}' changes nothing; name the model that it asks"
            elif variant.model in self.models:
                yield at, f"the variant '{variant.name}' asks the model '{variant.model}' that it is to vary"

    def _prompts_at_odds(self) -> Iterator[tuple[KeyPath, str]]:
        if self.models:
            yield (
                ("models",),
                "of a prompt's experiment all requests take part that name the prompt; leave 'models' out",
            )
        if self.shadow:
            yield ("shadow",), "a shadow answers what the caller asked; it cannot vary the prompt"
        name = next(variant.prompt for variant in self.variants if variant.prompt).partition("@")[0]
        for index, variant in enumerate(self.variants):
            at = ("variants", index)
            if not variant.prompt:
                yield (*at, "prompt"), f"the variant '{variant.name}' changes nothing; name the version that it has"
            elif variant.prompt.partition("@")[0] != name:
                yield (*at, "prompt"), f"the variant '{variant.name}' has another prompt than '{name}', which is varied"
            if variant.model:
                yield (
                    (*at, "model"),
                    "a variant has another prompt or another model, not both; a prompt's version can name a model",
                )

    def _rules_at_odds(self) -> Iterator[tuple[KeyPath, str]]:
        metrics = [metric.name for metric in self.metrics]
        if len(set(metrics)) < len(metrics):
            yield ("metrics",), "a metric is named twice"
        if self.starts_at is not None and self.ends_at is not None and self.ends_at <= self.starts_at:
            yield ("ends_at",), "it ends before it starts"
        bounds, arms = self.adaptive, len(self.variants) + 1
        if bounds is not None and self.shadow:
            yield ("adaptive",), "the shares of a shadow cannot follow the figures: nobody is shown it; leave one out"
        elif bounds is not None and not bounds.least * arms <= 1 <= bounds.most * arms:
            yield ("adaptive",), f"{arms} shares with the control cannot all lie from {bounds.least} to {bounds.most}"

    def experiment(self) -> Experiment:
        """Return it as the domain knows it."""
        bounds = self.adaptive
        return Experiment(
            name=self.name,
            models=frozenset(self.models),
            variants=tuple(
                Variant(name=one.name, share=one.share, model=one.model, prompt=one.prompt) for one in self.variants
            ),
            measures=tuple(one.measure() for one in self.metrics or (MetricSettings(name=Metric.COST),)),
            unit=self.unit,
            salt=self.salt,
            shadow=self.shadow,
            minimum_samples=self.minimum_samples,
            planned_samples=self.planned_samples,
            error_probability=self.error_probability,
            near=self.near,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            adaptive=None if bounds is None else AdaptiveShares(bounds.least, bounds.most),
        )


class ExperimentingSettings(Section):
    """Bounds of experiments in one gateway process."""

    every: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=30)
    """What lies between two looks at what was done to experiments, and at their figures: so long may a stop take."""
    shadows_at_once: Annotated[int, Field(gt=0)] = 8
    """Shadow answers at once; further ones are not made."""
    shadow_timeout: Annotated[Duration, Field(gt=timedelta())] = timedelta(seconds=60)
    """What one shadow answer may take."""


class ExperimentSections(Section):
    """The sections of the configuration that are about experiments."""

    experiments: Annotated[list[ExperimentSettings], RELOADED] = []
    """Comparisons of models, with sticky assignment; see [experiments](experiments.md)."""
    experimenting: ExperimentingSettings = ExperimentingSettings()

    def experiments_configured(self) -> tuple[Experiment, ...]:
        """Return the experiments as the domain knows them."""
        return tuple(one.experiment() for one in self.experiments)


def experiments_at_odds(
    experiments: Sequence[ExperimentSettings], public_models: Collection[str]
) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong with experiments beside one another, and beside the models that there are, where that is known."""
    names = Counter(one.name for one in experiments)
    owners: dict[str, str] = {}
    for index, one in enumerate(experiments):
        if names[one.name] > 1:
            yield ("experiments", index, "name"), f"the experiment '{one.name}' is defined twice"
        for at, model in enumerate(one.models):
            where = ("experiments", index, "models", at)
            if public_models and model not in public_models:
                yield where, f"there is no model '{model}'{nearest(model, public_models)}"
            if model in owners:
                yield where, f"the model '{model}' is in the experiment '{owners[model]}' already; it can be in one"
            owners.setdefault(model, one.name)
    yield from _variants_beside_others(experiments, public_models, owners)
    yield from _prompts_of_two(experiments)


def _variants_beside_others(
    experiments: Sequence[ExperimentSettings], public_models: Collection[str], owners: Mapping[str, str]
) -> Iterator[tuple[KeyPath, str]]:
    for index, one in enumerate(experiments):
        for at, variant in enumerate(one.variants):
            where = ("experiments", index, "variants", at, "model")
            if variant.model and public_models and variant.model not in public_models:
                yield where, f"there is no model '{variant.model}'{nearest(variant.model, public_models)}"
            elif owners.get(variant.model, one.name) != one.name:
                yield where, f"the model '{variant.model}' is varied by the experiment '{owners[variant.model]}' itself"


def _prompts_of_two(experiments: Sequence[ExperimentSettings]) -> Iterator[tuple[KeyPath, str]]:
    owners: dict[str, str] = {}
    for index, one in enumerate(experiments):
        prompt = one.experiment().prompt
        if prompt in owners:
            where = ("experiments", index, "variants")
            yield where, f"the prompt '{prompt}' is in the experiment '{owners[prompt]}' already; it can be in one"
        elif prompt:
            owners[prompt] = one.name
