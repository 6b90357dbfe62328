"""Triton's model repository API: which models are loaded, and loading and unloading them.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from penstock_inference.domain.model_control import ControlFailed, ControlRefused, ModelState, ModelStatus

# The generated code has no types.
_pb: Any = service_pb2

CONTROL_KEY_HEADER = "triton-grpc-protocol-penstock-control"
"""Triton asks for it where it is started with ``--grpc-restricted-protocol=…:penstock-control=KEY``."""

_INDEX_TIMEOUT_SECONDS = 5.0
# A large model takes minutes to load; Triton answers when it has.
_LOAD_TIMEOUT_SECONDS = 1800.0
_POLL_SECONDS = 0.1
# What a model answers while it is unloaded ends with its own attempt, ten minutes by default.
_UNLOAD_TIMEOUT_SECONDS = 600.0
_MAX_REASON_CHARACTERS = 400

_STATES = {
    "READY": ModelState.READY,
    "LOADING": ModelState.LOADING,
    "UNLOADING": ModelState.UNLOADING,
    "UNAVAILABLE": ModelState.UNAVAILABLE,
}
_NEVER_LOADED = ModelStatus(ModelState.UNAVAILABLE, "not loaded")
# Of several versions, the one that answers counts.
_PRECEDENCE = (ModelState.READY, ModelState.LOADING, ModelState.UNLOADING, ModelState.UNAVAILABLE)

AnswerT = TypeVar("AnswerT")


class TritonModelControl:
    """Tells of one server's models; controls them where it runs with ``--model-control-mode=explicit``."""

    def __init__(self, channel: grpc.aio.Channel, key: str = "") -> None:
        stub: Any = service_pb2_grpc.GRPCInferenceServiceStub
        self._stub = stub(channel)
        self._metadata = ((CONTROL_KEY_HEADER, key),) if key else ()

    async def states(self) -> Mapping[str, ModelStatus]:
        """Return the state of every model of the repository; see the port."""
        index = await self._answer(
            self._stub.RepositoryIndex(
                _pb.RepositoryIndexRequest(), metadata=self._metadata, timeout=_INDEX_TIMEOUT_SECONDS
            )
        )
        found: dict[str, ModelStatus] = {}
        for entry in index.models:
            status = _status(entry)
            present = found.get(entry.name)
            if present is None or _PRECEDENCE.index(status.state) < _PRECEDENCE.index(present.state):
                found[entry.name] = status
        return found

    async def load(self, model: str) -> None:
        """Return when the model serves; see the port."""
        await self._unloaded(model)
        request = _pb.RepositoryModelLoadRequest(model_name=model)
        await self._answer(
            self._stub.RepositoryModelLoad(request, metadata=self._metadata, timeout=_LOAD_TIMEOUT_SECONDS)
        )

    async def unload(self, model: str) -> None:
        """Return when the model takes nothing new; see the port."""
        request = _pb.RepositoryModelUnloadRequest(model_name=model)
        await self._answer(
            self._stub.RepositoryModelUnload(request, metadata=self._metadata, timeout=_INDEX_TIMEOUT_SECONDS)
        )

    async def _unloaded(self, model: str) -> None:
        """Wait for what the model still answers: a Triton that began to load beside that has died of it."""
        give_up_at = time.monotonic() + _UNLOAD_TIMEOUT_SECONDS
        while (status := (await self.states()).get(model)) and status.state is ModelState.UNLOADING:
            if time.monotonic() >= give_up_at:
                raise ControlFailed("the model is still being unloaded: what it answers has not ended")
            await asyncio.sleep(_POLL_SECONDS)

    async def _answer(self, call: Awaitable[AnswerT]) -> AnswerT:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from error


def _status(entry: Any) -> ModelStatus:
    state = _STATES.get(entry.state)
    return _NEVER_LOADED if state is None else ModelStatus(state, _first_line(entry.reason))


def _failure(error: grpc.aio.AioRpcError) -> ControlFailed:
    details = error.details() or ""
    if "protocol is restricted" in details:
        return ControlRefused("Triton wants another key for model control: see 'model_control' of the upstream")
    return ControlFailed(_reason(error, details))


def _reason(error: grpc.aio.AioRpcError, details: str) -> str:
    if error.code() is grpc.StatusCode.UNAVAILABLE and "explicit" not in details:
        return "Triton does not answer"
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "Triton did not answer in time"
    return _first_line(details) or error.code().name


def _first_line(text: str) -> str:
    """Return what Triton says without the traceback that a Python model appends."""
    return " ".join(text.split("\n\nAt:", maxsplit=1)[0].split())[:_MAX_REASON_CHARACTERS]
