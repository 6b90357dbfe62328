"""One Triton Inference Server, over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from typing import Any

import grpc
from tritonclient.grpc import service_pb2_grpc

from penstock_common.rpc.scope import CURRENT_SCOPE, TRACEPARENT_KEY
from penstock_inference.adapters.providers.triton.errors import failure_of_rpc
from penstock_inference.adapters.providers.triton.request import TritonModel, request_from_input
from penstock_inference.adapters.providers.triton.stream import TensorStream
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import UpstreamCall, UpstreamEvent
from penstock_inference.domain.watchdog import silence

_EOF: Any = getattr(grpc.aio, "EOF")  # noqa: B009 - the stubs do not know it
MAX_MESSAGE_BYTES = 32 * 1024 * 1024

_OPTIONS = (
    # Retries belong to the attempt loop alone.
    ("grpc.enable_retries", 0),
    # Triton forgives two pings within five minutes; more often, it closes the connection.
    ("grpc.keepalive_time_ms", 120_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.use_local_subchannel_pool", 1),
)


def triton_channel(target: str) -> grpc.aio.Channel:
    """Return the one channel to a server."""
    return grpc.aio.insecure_channel(target, options=_OPTIONS)


class TritonUpstream:
    """Streams answers of the models it is given, by their names at the server."""

    def __init__(self, channel: grpc.aio.Channel, models: Mapping[str, TritonModel]) -> None:
        self._channel = channel
        stub: Any = service_pb2_grpc.GRPCInferenceServiceStub
        self._stub = stub(channel)
        self._models = models

    async def stream(self, call: UpstreamCall) -> AsyncGenerator[list[UpstreamEvent], None]:
        """Yield what each response brought; see the port."""
        request = request_from_input(call.input, call.model, self._models[call.model])
        await self._connect_within(call.connect_timeout)
        traceparent = CURRENT_SCOPE.get().traceparent
        rpc = self._stub.ModelStreamInfer(metadata=((TRACEPARENT_KEY, traceparent),) if traceparent else None)
        # gRPC servers send their headers with the first message: there is no stage of its own.
        call.headers_received()
        tensors = TensorStream()
        began = False
        try:
            await rpc.write(request)
            await rpc.done_writing()
            while (response := await rpc.read()) is not _EOF:
                began = True
                events = tensors.read(response)
                if events:
                    yield events
            yield tensors.end()
        except grpc.aio.AioRpcError as error:
            raise failure_of_rpc(error, began=began) from error
        finally:
            rpc.cancel()

    async def _connect_within(self, limit: timedelta) -> None:
        if self._channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY:
            return
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await self._connect()
        except TimeoutError:
            raise silence("connect") from None

    async def _connect(self) -> None:
        """Return when the channel is ready; a refused connection fails at once, not at the timeout."""
        while (state := self._channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                raise AttemptFailed(FailureKind.CONNECT, "no connection")
            await self._channel.wait_for_state_change(state)
