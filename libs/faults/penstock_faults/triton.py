"""The server that plays a script as a Triton with the tensors of the vLLM backend. Needs the extra ``triton``.

    async with TritonUpstream(SCRIPTS["cut-stall"]) as upstream:
        ...  # ask upstream.target

gRPC writes whole messages: where a connection breaks within one, put ``FaultProxy`` in front. What only HTTP can do
wrong, ``plays`` says, has no likeness here.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from penstock_faults.gates import Gates
from penstock_faults.http.format import INPUT_TOKENS
from penstock_faults.playback import Choose, Playback, always
from penstock_faults.record import Connection, Record, Seen
from penstock_faults.reply import tokens_of
from penstock_faults.script import Insert, Script, Step

# The generated code has no types.
_pb: Any = service_pb2
_grpc: Any = service_pb2_grpc

_METHOD = "/inference.GRPCInferenceService/ModelStreamInfer"
_ASSISTANT_BEGINS = "<|im_start|>assistant\n"
_DATATYPES = {"text_output": "BYTES", "finish_reason": "BYTES"}
_STATUSES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
}
_FIRST_ERROR = 400
_LIMITED = 429
_END = -1


def plays(script: Script) -> bool:
    """Return whether the script can be played here: nothing of it is HTTP's alone."""
    return all(_has_a_likeness(step) for step in script.steps)


def _has_a_likeness(step: Step) -> bool:
    if step.body is not None or step.framing != "chunked" or not step.answer.done or step.retry_after:
        return False
    if step.error is not None and (step.status < _FIRST_ERROR or step.error.code == "content_filter"):
        return False
    cut_in_a_message = step.broken is not None and (step.broken.wire_bytes or step.broken.bytes)
    return not cut_in_a_message and not any(_is_of_http(insert) for insert in step.insert)


def _is_of_http(insert: Insert) -> bool:
    return bool(insert.raw or insert.data or insert.torn or insert.ping)


class TritonUpstream(_grpc.GRPCInferenceServiceServicer):
    """Serves while it is entered, at ``target``."""

    def __init__(
        self,
        script: Script | Choose,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        record: Record | None = None,
        gates: Gates | None = None,
    ) -> None:
        """Take what ``openai.server.OpenAIUpstream`` takes."""
        self.record = record or Record()
        self._playbacks = always(Playback(script)) if isinstance(script, Script) else script
        self._gates = gates
        self._host = f"[{host}]" if ":" in host else host
        self._address = f"{self._host}:{port}"
        self._connections: dict[str, Connection] = {}
        self._server: grpc.aio.Server | None = None
        self.port = 0

    @property
    def target(self) -> str:
        """host:port of its gRPC."""
        return f"{self._host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        _grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(self._address)
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            await self._server.stop(None)
        for connection in self._connections.values():
            self.record.closed(connection)

    async def ServerLive(self, request: Any, context: Any) -> Any:
        """Say that the server lives."""
        return _pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: Any) -> Any:
        """Say that the server is ready."""
        return _pb.ServerReadyResponse(ready=True)

    async def ModelReady(self, request: Any, context: Any) -> Any:
        """Say that the model is ready."""
        return _pb.ModelReadyResponse(ready=True)

    async def ModelStreamInfer(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncGenerator[Any]:
        """Answer each request of the stream by the script of its model."""
        async for request in request_iterator:
            seen = self._arrived(request, context)
            client_left = True
            try:
                async for response in self._play(seen, request, context):
                    seen.sent_bytes += response.ByteSize()
                    yield response
                client_left = False
            except grpc.aio.AbortError:
                client_left = False
                raise
            finally:
                self.record.ended(seen, client_left=client_left)

    def _arrived(self, request: Any, context: Any) -> Seen:
        peer = str(context.peer())
        if peer not in self._connections:
            self._connections[peer] = self.record.opened()
        body = json.dumps({"model": request.model_name, **_inputs(request)}).encode()
        headers = {name: str(value) for name, value in context.invocation_metadata() or ()}
        return self.record.arrived(self._connections[peer], _METHOD, headers, body)

    async def _play(self, seen: Seen, request: Any, context: Any) -> AsyncGenerator[Any]:
        playback = self._playbacks(seen.model)
        step = playback.next_step()
        if step.drop is not None:
            await _end(step.drop, context)
        if step.status >= _FIRST_ERROR:
            yield await _refusal(step, context)
            return
        prompt = str(seen.body.get("text_input", ""))
        prefix = prompt.rpartition(_ASSISTANT_BEGINS)[2] if _ASSISTANT_BEGINS in prompt else ""
        tokens = tokens_of(step.answer.tokens, prefix, playback.script.prefill, asked_to_continue=True)
        if tokens is None:
            yield _pb.ModelStreamInferResponse(error_message="sampling parameters: a prefix is not supported")
            return
        pace = step.pace
        slow = playback.is_slow(step)
        await asyncio.sleep(pace.slow_first_token_seconds if slow else pace.first_token_seconds)
        async for response in self._answer(step, tokens, request):
            yield response
        await self._hold(step, _END)
        if step.broken is not None:
            await _end(step.broken.by, context)

    async def _answer(self, step: Step, tokens: Sequence[str], request: Any) -> AsyncGenerator[Any]:
        """Yield a response per token; an event of the script is the token before it, as the role has none here."""
        broken = step.broken
        last = broken.events - 1 if broken is not None and broken.events is not None else None
        if broken is not None and broken.bytes == 0:
            return
        errors = {max(0, insert.event - 1): insert.error for insert in step.insert if insert.error is not None}
        response: Any = None
        for number, outputs in enumerate(_outputs(step, tokens)):
            await self._hold(step, number + 1)
            if number == last:
                break
            if number in errors:
                yield _pb.ModelStreamInferResponse(error_message=errors[number].message)
                return
            response = _response(request, outputs)
            yield response
            await asyncio.sleep(step.pace.token_seconds)
        while broken is not None and broken.by == "repeat" and response is not None:
            yield response
            await asyncio.sleep(0)

    async def _hold(self, step: Step, number: int) -> None:
        gate = step.hold.get(number)
        if gate is not None and self._gates is not None:
            await self._gates.opened(gate)


async def _refusal(step: Step, context: Any) -> Any:
    """Return the message of an error, or end the call with its status."""
    if step.status in _STATUSES:
        await context.abort(_STATUSES[step.status], "scripted")
    message = step.error.message if step.error is not None else f"status {step.status}"
    if step.status == _LIMITED:
        message = "Exceeds maximum queue size"
    if step.error is not None and step.error.code == "context_length_exceeded":
        message = "context length exceeded: 4100 input tokens, maximum 16"
    return _pb.ModelStreamInferResponse(error_message=message)


async def _end(by: str, context: Any) -> None:
    """End the call as a connection ends; a clean end is none of our doing."""
    if by in ("reset", "close"):
        await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    if by == "stall":
        await asyncio.Event().wait()


def _outputs(step: Step, tokens: Sequence[str]) -> Sequence[Mapping[str, str | int]]:
    """Return the tensors of each response; the last one says why the answer has ended."""
    answer = step.answer
    counted = {} if answer.usage == "missing" else {"num_input_tokens": INPUT_TOKENS, "num_output_tokens": 1}
    if answer.usage == "zero":
        counted = dict.fromkeys(counted, 0)
    cut = step.broken is not None and step.broken.events is None
    texts = tokens or ("",)
    reason = "" if cut or answer.finish_reason is None else answer.finish_reason
    reasons = [*[""] * (len(texts) - 1), reason]
    return [{"text_output": text, "finish_reason": why, **counted} for text, why in zip(texts, reasons, strict=True)]


def _response(request: Any, outputs: Mapping[str, str | int]) -> Any:
    result = _pb.ModelInferResponse(model_name=request.model_name)
    for name, value in outputs.items():
        result.outputs.add(name=name, datatype=_DATATYPES.get(name, "UINT32"), shape=[1])
        result.raw_output_contents.append(_element(value))
    return _pb.ModelStreamInferResponse(infer_response=result)


def _element(value: str | int) -> bytes:
    if isinstance(value, int):
        return struct.pack("<I", value)
    data = value.encode()
    return struct.pack("<I", len(data)) + data


def _inputs(request: Any) -> dict[str, Any]:
    """Return the inputs by name: text for BYTES, truth for BOOL."""
    values = zip(request.inputs, request.raw_input_contents, strict=False)
    return {
        tensor.name: raw[4:].decode(errors="replace") if tensor.datatype == "BYTES" else raw == b"\x01"
        for tensor, raw in values
    }
