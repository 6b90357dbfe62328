"""`penstock models`: the inference service's model administration, at the upstreams of a configuration."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from penstock_common.contract.inference import RunnableModel
from penstock_common.errors import PenstockError
from penstock_common.llm.types import Candidate
from penstock_inference.app import open_models
from penstock_inference.domain.model_control import ModelAdministration
from penstock_inference.settings import Settings
from penstock_suite.adapters.state_files import open_state_folder, read_run_record
from penstock_suite.app.plan import StackPlan, make_plan
from penstock_suite.app.running_stack import as_running
from penstock_suite.domain.answers import ModelRow
from penstock_suite.domain.failure import Misconfigured, NotThere, SuiteFailure, Unreachable
from penstock_suite.domain.requests import Selection


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a stack's upstreams, by the names that people have for them."""

    administration: ModelAdministration
    plan: StackPlan

    async def list(self) -> list[ModelRow]:
        """Return the models of every upstream, in the configuration's order."""
        return [self._row(listed) for listed in await self.administration.list()]

    async def load(self, name: str) -> ModelRow:
        """Return the model once it serves.

        Raises:
            NotThere, Misconfigured: if no model, or more than one, has this name.
            PenstockError: if it could not be loaded.
        """
        return self._row(await self.administration.load(self._candidate(name)))

    async def unload(self, name: str) -> ModelRow:
        """Return the model once it takes nothing new.

        Raises:
            NotThere, Misconfigured, PenstockError: as ``load``.
        """
        return self._row(await self.administration.unload(self._candidate(name)))

    def _row(self, listed: RunnableModel) -> ModelRow:
        candidate = listed.candidate
        public = [model.name for model in self.plan.settings.models if str(candidate) in model.candidates]
        return ModelRow(
            upstream=candidate.upstream,
            model=candidate.model,
            state=listed.state.value,
            reason=listed.state_reason,
            controllable=listed.is_controllable,
            context_window_tokens=listed.context_window_tokens,
            public_names=tuple(public),
        )

    def _candidate(self, name: str) -> Candidate:
        """Return ``upstream/model``, or the one candidate that a public name or a model's own name stands for."""
        found = _candidates(self.plan, name)
        if len(found) == 1:
            return _candidate(found[0])
        if found:
            raise Misconfigured(f"'{name}' is {' and '.join(found)}: name one of them")
        raise NotThere(f"there is no model '{name}': see 'penstock models list'")


@asynccontextmanager
async def opened_models(selection: Selection) -> AsyncGenerator[Models]:
    """Yield the models of the selected stack.

    Raises:
        SuiteFailure: if its Triton does not run, or a model could not be loaded or unloaded.
    """
    plan = make_plan(as_running(selection))
    record = read_run_record(open_state_folder(plan.state.root))
    if plan.settings.local_triton_models and (record is None or not record.triton_grpc):
        raise Unreachable(
            f"no stack with a Triton runs on {plan.state.root}: start one with 'penstock up', "
            "or name its folder with --state (that of 'make run' is .state)"
        )
    configuration = plan.configuration(triton_grpc=record.triton_grpc) if record else plan.configuration()
    try:
        async with open_models(configuration.settings(Settings)) as models:
            yield Models(models, plan)
    except PenstockError as error:
        raise SuiteFailure(str(error)) from None


def _candidates(plan: StackPlan, name: str) -> list[str]:
    known = [f"{upstream.name}/{model.name}" for upstream in plan.settings.upstreams for model in upstream.models]
    if name in known:
        return [name]
    public = next((model.candidates for model in plan.settings.models if model.name == name), [])
    own = [candidate for candidate in known if _candidate(candidate).model == name]
    return public or own


def _candidate(text: str) -> Candidate:
    upstream, _, model = text.partition("/")
    return Candidate(upstream=upstream, model=model)
