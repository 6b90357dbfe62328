"""Which models are ready, and having their upstreams load and unload them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from penstock_common import errors
from penstock_common.contract.inference import ModelState, RunnableModel
from penstock_common.llm.types import Candidate
from penstock_inference.domain.catalogue import Catalogue, Model


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A state, and why it is not ready in the upstream's words."""

    state: ModelState = ModelState.UNTOLD
    reason: str = ""


class ControlFailed(Exception):
    """The upstream did not do it; the message is its reason, fit for the operator."""


class ControlRefused(ControlFailed):
    """The upstream does as it is told, but not by us; its models may well serve."""


class ModelStates(Protocol):
    """An upstream that tells which of its models are ready. Raises ControlFailed."""

    async def states(self) -> Mapping[str, ModelStatus]:
        """Return the state of every model that the upstream knows, by its name there."""
        ...


class ModelControl(Protocol):
    """An upstream whose models can be loaded and unloaded. Every method raises ControlFailed."""

    async def load(self, model: str) -> None:
        """Return when the model serves."""
        ...

    async def unload(self, model: str) -> None:
        """Return when the model takes nothing new; what runs ends in its own time."""
        ...


class ModelAdministration:
    """Lists the catalogue's models; loads and unloads those whose upstream has a control. Both by the upstream's name."""

    def __init__(
        self,
        catalogue: Catalogue,
        tellers: Mapping[str, ModelStates],
        controls: Mapping[str, ModelControl],
        takes_batches: Callable[[Model], bool] = lambda _: False,
    ) -> None:
        self._catalogue = catalogue
        self._tellers = tellers
        self._controls = controls
        self._takes_batches = takes_batches

    async def list(self) -> list[RunnableModel]:
        """Return all models; those of an upstream that does not answer are unavailable, with the reason."""
        known = await asyncio.gather(*(self._states(name) for name in self._tellers))
        states = dict(zip(self._tellers, known, strict=True))
        return [self._listed(model, states.get(model.candidate.upstream)) for model in self._catalogue]

    async def load(self, candidate: Candidate) -> RunnableModel:
        """Return the model once it serves.

        Raises:
            ModelNotFound: if the catalogue has no such model.
            InvalidRequest: if its upstream has no control.
            UpstreamFailed: if it could not be loaded; the message has the upstream's reason.
        """
        model, control = self._controlled(candidate)
        await _done(control.load(candidate.model), candidate, "could not be loaded")
        return self._listed(model, await self._states(candidate.upstream))

    async def unload(self, candidate: Candidate) -> RunnableModel:
        """Return the model once it takes nothing new.

        Raises:
            ModelNotFound, InvalidRequest, UpstreamFailed: as ``load``.
        """
        model, control = self._controlled(candidate)
        await _done(control.unload(candidate.model), candidate, "could not be unloaded")
        return self._listed(model, await self._states(candidate.upstream))

    def _controlled(self, candidate: Candidate) -> tuple[Model, ModelControl]:
        model = self._catalogue.find(candidate)
        if model is None:
            raise errors.ModelNotFound(f"There is no model {candidate}.", model=str(candidate))
        control = self._controls.get(candidate.upstream)
        if control is None:
            raise errors.InvalidRequest(
                f"{candidate} cannot be loaded or unloaded: the upstream '{candidate.upstream}' has no 'model_control'.",
                field="candidate",
            )
        return model, control

    async def _states(self, upstream: str) -> Mapping[str, ModelStatus] | ModelStatus:
        """Return the upstream's answer, or what holds for all of its models where there is none."""
        try:
            return await self._tellers[upstream].states()
        except ControlRefused as refusal:
            return ModelStatus(ModelState.UNTOLD, str(refusal))
        except ControlFailed as failure:
            return ModelStatus(ModelState.UNAVAILABLE, str(failure))

    def _listed(self, model: Model, states: Mapping[str, ModelStatus] | ModelStatus | None) -> RunnableModel:
        if isinstance(states, Mapping):
            absent = ModelStatus(ModelState.UNAVAILABLE, "not in the upstream's repository")
            status = states.get(model.candidate.model, absent)
        else:
            status = states or ModelStatus()
        return RunnableModel(
            candidate=model.candidate,
            context_window_tokens=model.context_window_tokens,
            capabilities=frozenset(capability.value for capability in model.capabilities),
            state=status.state,
            state_reason=status.reason,
            is_controllable=model.candidate.upstream in self._controls,
            takes_batches=self._takes_batches(model),
        )


async def _done(work: Coroutine[Any, Any, None], candidate: Candidate, failed: str) -> None:
    try:
        await work
    except ControlFailed as failure:
        raise errors.UpstreamFailed(f"{candidate} {failed}: {failure}", upstream=candidate.upstream) from failure
