"""The inference service: what it is asked, handed on to the attempt loop and to the models' administration."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from penstock_common.contract.inference import GenerateRequest, RunnableModel
from penstock_common.contract.wire.inference import GENERATE, LIST_MODELS, LOAD_MODEL, UNLOAD_MODEL
from penstock_common.llm.types import Batch, Candidate
from penstock_common.rpc.method import Handler
from penstock_common.rpc.server_call import ServerCall
from penstock_inference.domain.attempt_loop import AttemptLoop, Generation
from penstock_inference.domain.model_control import ModelAdministration


class InferenceServicer:
    """Runs plans; the attempts' steps reach the caller, also when all fail."""

    def __init__(self, attempt_loop: AttemptLoop, models: ModelAdministration) -> None:
        self._attempt_loop = attempt_loop
        self._models = models

    def handlers(self) -> tuple[Handler, ...]:
        """Return what this serves."""
        return (
            GENERATE.served_by(self.generate),
            LIST_MODELS.served_by(self.list_models),
            LOAD_MODEL.served_by(self.load_model),
            UNLOAD_MODEL.served_by(self.unload_model),
        )

    async def generate(self, request: GenerateRequest, call: ServerCall) -> AsyncGenerator[Batch, None]:
        """Yield the events of one answer."""
        generation = Generation(request.input, request.plan, call.seconds_left())
        async with aclosing(self._attempt_loop.generate(generation, call.steps)) as events:
            async for event in events:
                yield (event,)

    async def list_models(self, _: None, call: ServerCall) -> tuple[RunnableModel, ...]:
        """Return the models of the catalogue, with their states."""
        return tuple(await self._models.list())

    async def load_model(self, candidate: Candidate, call: ServerCall) -> RunnableModel:
        """Return the model once it serves."""
        return await self._models.load(candidate)

    async def unload_model(self, candidate: Candidate, call: ServerCall) -> RunnableModel:
        """Return the model once it takes nothing new."""
        return await self._models.unload(candidate)
