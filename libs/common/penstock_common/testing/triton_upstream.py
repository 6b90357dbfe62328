"""A real gRPC server with the tensors of Triton's vLLM backend, well or badly, as a test asks.

    async with TritonUpstream() as upstream:
        upstream.enqueue(TensorError("context length exceeded: 612 input tokens, maximum 512"))
        ...  # ask upstream.target

Each request takes the next behaviour of the queue; an empty queue gives a
normal short answer.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

# The generated code has no types.
_pb: Any = service_pb2
_grpc: Any = service_pb2_grpc

_DATATYPES = {"text_output": "BYTES", "finish_reason": "BYTES"}


@dataclass(frozen=True, kw_only=True)
class TensorAnswer:
    """A decoupled answer, one response per token.

    ``cached_input_tokens`` is what the demonstration model tells besides, and vLLM does not.
    ``status`` ends the call with it after the tokens instead of an answer's
    end; ``stall`` leaves the call open. ``old_backend`` sends ``text_output`` alone.
    """

    tokens: Sequence[str | bytes] = ("Hello", ", ", "world", ".")
    finish_reason: str = "stop"
    input_tokens: int = 7
    cached_input_tokens: int | None = None
    old_backend: bool = False
    hold: Mapping[int, asyncio.Event] = field(default_factory=dict[int, asyncio.Event])
    status: grpc.StatusCode | None = None
    stall: bool = False


@dataclass(frozen=True)
class TensorError:
    """An error in the stream, where Triton puts a model's; after some tokens if there are any."""

    message: str
    tokens: Sequence[str] = ()


@dataclass
class RecordedTensors:
    """What a client sent; ``left`` is set if it cancelled before the end."""

    model: str
    inputs: Mapping[str, Any]
    metadata: Mapping[str, str | bytes]
    left: asyncio.Event = field(default_factory=asyncio.Event)
    left_at: float = 0.0

    @property
    def sampling_parameters(self) -> dict[str, Any]:
        """The decoded sampling parameters."""
        return json.loads(self.inputs["sampling_parameters"])


class TritonUpstream(_grpc.GRPCInferenceServiceServicer):
    """Serves while it is entered; ``requests`` are in order of arrival."""

    def __init__(self) -> None:
        self.requests: list[RecordedTensors] = []
        self.target = ""
        self._behaviours: deque[TensorAnswer | TensorError] = deque()
        self._arrivals: asyncio.Queue[RecordedTensors] = asyncio.Queue()
        self._server: grpc.aio.Server | None = None

    async def __aenter__(self) -> Self:
        server = self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        _grpc.add_GRPCInferenceServiceServicer_to_server(self, server)
        self.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None, "entered"
        await self._server.stop(None)

    def settings(self, name: str, *, model: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Return the entry of ``upstreams:`` that names this server ``name``, with one model ``m``."""
        models = [{"name": "m", "context_window": 512, **(model or {})}]
        return {"name": name, "provider": "triton", "grpc": self.target, "models": models, **more}

    def enqueue(self, *behaviours: TensorAnswer | TensorError) -> None:
        """Let the next requests meet these, in order."""
        self._behaviours.extend(behaviours)

    async def next_request(self) -> RecordedTensors:
        """Return the next request that nobody has taken yet, waiting for it."""
        return await self._arrivals.get()

    async def ServerLive(self, request: Any, context: Any) -> Any:
        """Say that the server lives."""
        return _pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: Any) -> Any:
        """Say that the server is ready."""
        return _pb.ServerReadyResponse(ready=True)

    async def ModelStreamInfer(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """Answer each request of the stream by the next behaviour."""
        async for request in request_iterator:
            recorded = RecordedTensors(request.model_name, _inputs(request), dict(context.invocation_metadata() or ()))
            self.requests.append(recorded)
            self._arrivals.put_nowait(recorded)
            behaviour = self._behaviours.popleft() if self._behaviours else TensorAnswer()
            try:
                async for response in _responses(behaviour, request, context):
                    yield response
            except (asyncio.CancelledError, GeneratorExit):
                recorded.left_at = time.monotonic()
                recorded.left.set()
                raise


async def _responses(behaviour: TensorAnswer | TensorError, request: Any, context: Any) -> AsyncIterator[Any]:
    if isinstance(behaviour, TensorError):
        for token in behaviour.tokens:
            yield _response(request, {"text_output": token, "finish_reason": ""})
        yield _pb.ModelStreamInferResponse(error_message=behaviour.message)
        return
    last = len(behaviour.tokens) - 1
    for number, token in enumerate(behaviour.tokens):
        if number in behaviour.hold:
            await behaviour.hold[number].wait()
        ends = number == last and behaviour.status is None and not behaviour.stall
        outputs: dict[str, str | bytes | int] = {"text_output": token}
        if not behaviour.old_backend:
            outputs["finish_reason"] = behaviour.finish_reason if ends else ""
            outputs["num_input_tokens"] = behaviour.input_tokens
            outputs["num_output_tokens"] = 1
            if behaviour.cached_input_tokens is not None:
                outputs["num_cached_input_tokens"] = behaviour.cached_input_tokens
        yield _response(request, outputs)
    if behaviour.stall:
        await asyncio.Event().wait()
    if behaviour.status is not None:
        await context.abort(behaviour.status, "programmed")


def _response(request: Any, outputs: Mapping[str, str | bytes | int]) -> Any:
    result = _pb.ModelInferResponse(model_name=request.model_name)
    for name, value in outputs.items():
        result.outputs.add(name=name, datatype=_DATATYPES.get(name, "UINT32"), shape=[1])
        result.raw_output_contents.append(_element(value))
    return _pb.ModelStreamInferResponse(infer_response=result)


def _element(value: str | bytes | int) -> bytes:
    if isinstance(value, int):
        return struct.pack("<I", value)
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(data)) + data


def _inputs(request: Any) -> dict[str, Any]:
    """Return the inputs by name: text for BYTES, truth for BOOL."""
    values = zip(request.inputs, request.raw_input_contents, strict=True)
    return {tensor.name: raw[4:].decode() if tensor.datatype == "BYTES" else raw == b"\x01" for tensor, raw in values}
