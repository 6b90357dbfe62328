"""One Triton Inference Server, over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from tritonclient.grpc import service_pb2_grpc

from penstock_common.rpc.grpc_channel import grpc_channel
from penstock_common.rpc.scope import CURRENT_SCOPE, TRACEPARENT_KEY
from penstock_inference.adapters.providers.triton.errors import failure_of_rpc
from penstock_inference.adapters.providers.triton.request import TritonModel, request_from_input
from penstock_inference.adapters.providers.triton.stream import TensorStream
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import UpstreamAnswer, UpstreamCall, UpstreamEvent
from penstock_inference.domain.watchdog import silence

_EOF: Any = getattr(grpc.aio, "EOF")  # noqa: B009 - the stubs do not know it
MAX_MESSAGE_BYTES = 32 * 1024 * 1024

_OPTIONS = (
    # Retries belong to the attempt engine alone.
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
    return grpc_channel(target, _OPTIONS)


class TritonUpstream:
    """Streams answers of the models it is given, by their names at the server."""

    def __init__(self, channel: grpc.aio.Channel, models: Mapping[str, TritonModel]) -> None:
        self._channel = channel
        stub: Any = service_pb2_grpc.GRPCInferenceServiceStub
        self._stub = stub(channel)
        self._models = models

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port. It is always streamed: Triton knows no other."""
        return TritonAnswer(self, call)

    async def begin(self, call: UpstreamCall, policy: FieldPolicy) -> Any:
        """Return the running stream of responses, its one request sent; ``policy`` notes what was left out.

        Raises:
            AttemptFailed: if there is no connection in time, or the model cannot do what is asked.
        """
        model = self._models[call.model]
        request = request_from_input(call.input, call.model, model, policy, is_continued=call.is_continued)
        await self._connect_within(call.connect_seconds)
        traceparent = CURRENT_SCOPE.get().traceparent
        rpc = self._stub.ModelStreamInfer(metadata=((TRACEPARENT_KEY, traceparent),) if traceparent else None)
        try:
            await rpc.write(request)
            await rpc.done_writing()
        except BaseException:
            rpc.cancel()
            raise
        return rpc

    async def _connect_within(self, seconds: float) -> None:
        if self._channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._connect()
        except TimeoutError:
            raise silence("connect") from None

    async def _connect(self) -> None:
        """Return when the channel is ready; a refused connection fails at once, not at the timeout."""
        while (state := self._channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                raise AttemptFailed(FailureKind.CONNECT, "no connection")
            await self._channel.wait_for_state_change(state)


class TritonAnswer:
    """One answer; see the port."""

    __slots__ = ("_began", "_call", "_rpc", "_tensors", "_upstream", "dropped", "ended")

    def __init__(self, upstream: TritonUpstream, call: UpstreamCall) -> None:
        self._upstream = upstream
        self._call = call
        self._rpc: Any = None
        self._tensors = TensorStream()
        self._began = False
        self.dropped: tuple[str, ...] = ()
        self.ended = False

    @property
    def sent(self) -> bool:
        """Whether the request has been sent; see the port."""
        return self._rpc is not None

    @property
    def unread_bytes(self) -> int:
        """None: what comes is streamed; see the port."""
        return 0

    async def read(self) -> Sequence[UpstreamEvent]:
        """Return what the next response brought; see the port."""
        if self.ended:
            return ()
        try:
            if self._rpc is None:
                # gRPC servers send their headers with the first message: there is no stage of its own.
                self._call.headers_received()
                policy = FieldPolicy(self._call.unsupported)
                self._rpc = await self._upstream.begin(self._call, policy)
                self.dropped = policy.dropped
            while (response := await self._rpc.read()) is not _EOF:
                self._began = True
                events = self._tensors.read(response)
                if events:
                    return events
        except grpc.aio.AioRpcError as error:
            raise failure_of_rpc(error, began=self._began) from error
        events = self._tensors.end()
        self.ended = True
        return events

    async def aclose(self) -> None:
        """Cancel what still runs; see the port."""
        if self._rpc is not None:
            self._rpc.cancel()
