"""The experiments that run just now, and what part a request takes in one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from penstock_common.llm.types import GenerationInput, Role
from penstock_gateway.domain.experiments.assignment import index_at, point_of, ranges_of
from penstock_gateway.domain.experiments.definition import CONTROL, Experiment, Unit, Variant
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.life.settlement import Part

CONVERSATION_TAG = "conversation"
"""The tag by which a caller names a conversation; without it its first turn stands for it."""
_MAX_OPENING = 4096
_UNIT_DIGITS = 16


class State(StrEnum):
    """How an experiment is, whatever the configuration says."""

    RUNNING = "running"
    STOPPED = "stopped"
    """Everybody gets the control."""
    PROMOTED = "promoted"
    """Everybody gets one variant, and nobody is counted."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to an experiment. ``shares`` are those that follow the figures, control's first, where they do."""

    state: State = State.RUNNING
    promoted: str = ""
    reason: str = ""
    changed_at: datetime | None = None
    shares: tuple[float, ...] = ()


AS_CONFIGURED = Standing()


class Assigned(msgspec.Struct, frozen=True):
    """What a request has of an experiment. ``model`` is the one that is asked, empty for the caller's own.

    ``version`` is that of the prompt that the request names, 0 for where its label points. ``shadow`` answers beside it, to
    nobody.
    """

    part: Part
    model: str = ""
    version: int = 0
    shadow: Variant | None = None


class Running:
    """One experiment under way, with what must not be computed for each request."""

    __slots__ = ("_models", "_promoted", "_ranges", "_salt", "experiment")

    def __init__(self, experiment: Experiment, standing: Standing = AS_CONFIGURED) -> None:
        self.experiment = experiment
        self._models = frozenset(variant.model for variant in experiment.variants if variant.model)
        self._salt = experiment.salt or experiment.name
        shares = [variant.share for variant in experiment.variants]
        if experiment.adaptive is not None and len(standing.shares) == len(shares) + 1:
            shares = list(standing.shares[1:])
        self._ranges = ranges_of(shares)
        chosen = [variant for variant in experiment.variants if variant.name == standing.promoted]
        self._promoted = chosen[0] if standing.state is State.PROMOTED and chosen else None

    @property
    def versions(self) -> Sequence[int]:
        """Versions of the prompt that whoever takes part can be given; 0 is that where its label points."""
        if self._promoted is not None:
            return [self._promoted.version]
        return [0, *[variant.version for variant in self.experiment.variants]]

    def assign(self, call: Call[ChatOrder]) -> Assigned | None:
        """Return the request's part; None where it has none, and is answered as if there were no experiment.

        Who may not use what a variant changes to takes no part at all: counted as control they would be other people
        than those of the variant.
        """
        if self._promoted is not None:
            return self._given_to_all(self._promoted, call)
        if not all(map(call.caller.may_use, self._models)):
            return None
        experiment, unit = self.experiment, unit_of(call, self.experiment.unit)
        index = index_at(self._ranges, point_of(self._salt, unit))
        variant = None if index is None else experiment.variants[index]
        part = Part(
            experiment=experiment.name,
            variant=CONTROL if variant is None or experiment.shadow else variant.name,
            phase=experiment.phase,
            unit=_digest(unit),
        )
        if experiment.shadow:
            # Nobody is compared with whom no shadow stands beside.
            return None if variant is None else Assigned(part, shadow=variant)
        return Assigned(part) if variant is None else Assigned(part, variant.model, variant.version)

    def _given_to_all(self, variant: Variant, call: Call[ChatOrder]) -> Assigned | None:
        if variant.model and not call.caller.may_use(variant.model):
            return None
        part = Part(experiment=self.experiment.name, variant=variant.name)
        return Assigned(part, variant.model, variant.version)


class Experiments:
    """Those that run, by what they are about; a reload, and what is done to one, exchange them."""

    __slots__ = ("_configured", "_now", "_standings", "by_model", "by_prompt")

    def __init__(
        self, configured: Sequence[Experiment] = (), now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.by_model: Mapping[str, Running] = {}
        """By the public models that requests ask."""
        self.by_prompt: Mapping[str, Running] = {}
        """By the prompts that requests name."""
        self._configured = tuple(configured)
        self._now = now
        self._standings: Mapping[str, Standing] = {}
        self.renew()

    @property
    def configured(self) -> tuple[Experiment, ...]:
        """All that the configuration names."""
        return self._configured

    @property
    def standings(self) -> Mapping[str, Standing]:
        """What was done to them, as far as this process knows."""
        return self._standings

    def take_over(self, configured: Sequence[Experiment], standings: Mapping[str, Standing]) -> None:
        """Let requests that begin from now on take part in these, to which this was done."""
        self._configured = tuple(configured)
        self.note(standings)

    def note(self, standings: Mapping[str, Standing]) -> None:
        """Take in what was done to them."""
        self._standings = standings
        self.renew()

    def standing_of(self, name: str) -> Standing:
        """Return what was done to one."""
        return self._standings.get(name, AS_CONFIGURED)

    def renew(self) -> None:
        """Begin those whose time has come, and end those whose time is over."""
        now = self._now()
        running = [
            Running(experiment, self.standing_of(experiment.name))
            for experiment in self._configured
            if _is_on(experiment, self.standing_of(experiment.name), now)
        ]
        self.by_model = {model: one for one in running for model in one.experiment.models}
        self.by_prompt = {prompt: one for one in running if (prompt := one.experiment.prompt)}

    def under_way(self) -> dict[str, Experiment]:
        """Return those that run, by name."""
        running = (*self.by_model.values(), *self.by_prompt.values())
        return {one.experiment.name: one.experiment for one in running}


def _is_on(experiment: Experiment, standing: Standing, now: datetime) -> bool:
    # What was promoted stays so: its end is the end of comparing.
    return standing.state is State.PROMOTED or (standing.state is State.RUNNING and experiment.is_due(now))


NO_EXPERIMENTS = Experiments()


def take_part(
    running: Mapping[str, Running], call: Call[ChatOrder], effective: GenerationInput
) -> tuple[Assigned | None, GenerationInput]:
    """Return a request's part in the experiment on its model, and its input as the variant has it."""
    about = running.get(call.order.input.model)
    assigned = None if about is None else about.assign(call)
    if assigned is None or not assigned.model:
        return assigned, effective
    return assigned, msgspec.structs.replace(effective, model=assigned.model)


def unit_of(call: Call[ChatOrder], unit: Unit) -> tuple[str, ...]:
    """Return whom a request's variant stays with, in parts; never another tenant's."""
    order = call.order
    if unit is Unit.USER and (user := order.context.user or call.caller.user_id):
        return (order.tenant, "user", user)
    if unit is not Unit.KEY and (conversation := _conversation_of(order)):
        return (order.tenant, "conversation", order.key_id, conversation)
    return (order.tenant, "key", order.key_id)


def _conversation_of(order: ChatOrder) -> str:
    if named := order.context.tags.get(CONVERSATION_TAG):
        return named
    first = next((message for message in order.input.messages if message.role is Role.USER), None)
    return "" if first is None else first.text[:_MAX_OPENING]


def _digest(unit: Sequence[str]) -> str:
    """Return what stands for a unit in the ledger: rows of one belong together, and whose they are says another column."""
    return hashlib.sha256("\x00".join(unit).encode(errors="surrogatepass")).hexdigest()[:_UNIT_DIGITS]
