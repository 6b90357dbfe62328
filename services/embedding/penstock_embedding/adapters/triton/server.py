"""One Triton that serves the model: token ids go there, vectors come back."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from penstock_common.configuration import ConfigurationError
from penstock_common.errors import UpstreamFailed
from penstock_common.rpc.grpc_channel import grpc_channel
from penstock_embedding.adapters.triton.errors import detail_of, failure_of, malformed_of
from penstock_embedding.adapters.triton.place import TritonPlace
from penstock_embedding.adapters.triton.tensors import Malformed, check_tensors, request_of, vectors_from
from penstock_embedding.domain.batching import PreparedText
from penstock_embedding.domain.failure import Again, AttemptFailed
from penstock_embedding.domain.upstream import Vectors

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
_OPTIONS = (
    # Retries are ours: we know which of them a deadline has room for.
    ("grpc.enable_retries", 0),
    # Triton forgives two pings within five minutes; more often, it closes the connection.
    ("grpc.keepalive_time_ms", 120_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
)
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
# The generated code has no types.
_pb: Any = service_pb2

_LOG = logging.getLogger(__name__)


class Away(ConfigurationError):
    """A Triton that does not answer, or does not have the model yet."""


class TritonServer:
    """A ``Upstream`` for texts that were tokenized.

    One version of the model is asked for as long as this lives: another's
    vectors may not be compared to its own. ``version`` is empty until it is found.
    """

    def __init__(self, channel: grpc.aio.Channel, place: TritonPlace) -> None:
        stub: Any = service_pb2_grpc.GRPCInferenceServiceStub
        self._stub = stub(channel)
        self._place = place
        self.version = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, place: TritonPlace) -> AsyncGenerator[TritonServer, None]:
        """Yield the server, which nobody has asked for anything yet; on exit, close the connection."""
        async with grpc_channel(place.target, _OPTIONS) as channel:
            yield cls(channel, place)

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return self._place.upstream

    async def ask(
        self, asked: Sequence[PreparedText], seconds: float, *, others_left: bool, sent: Callable[[], None]
    ) -> Vectors:
        """Return the texts' vectors, as ``Upstream`` says; a server that was away at the start is looked at first.

        Raises:
            AttemptFailed: if it does not answer, or not properly.
        """
        place = self._place
        timeout = place.timeout_with_others if others_left else place.timeout
        seconds = min(seconds, timeout.total_seconds())
        if not self.version:
            await self._find_late(seconds)
        request = request_of(place.model, self.version, asked)
        try:
            call = self._stub.ModelInfer(request, timeout=seconds)
            sent()
            return Vectors(vectors_from(await call, len(asked)))
        except Malformed as error:
            _LOG.warning("embedding_answer_malformed upstream=%s: %s", self.name, error)
            raise malformed_of(self.name) from None
        except grpc.aio.AioRpcError as error:
            _LOG.info("embedding_attempt_failed upstream=%s: %s", self.name, detail_of(error))
            raise failure_of(error, self.name) from None

    async def find(self, seconds: float, *, waits: bool) -> None:
        """Look for the model and its version.

        Raises:
            Away: if the server does not answer in time; where it ``waits``, a server that is starting has so long.
            ConfigurationError: if it has no such model, or one with other tensors or smaller batches.
        """
        place = self._place
        metadata = await self._metadata(seconds, waits)
        try:
            check_tensors(metadata)
        except Malformed as error:
            raise ConfigurationError(f"'{place.key}': the model '{place.model}' does not fit: {error}") from None
        # Triton serves the newest version unless it is asked for another.
        versions = [version for version in metadata.versions if version.isdigit()]
        version = place.version or max(versions, key=int, default="1")
        await self._check_batch_size(version)
        self.version = version

    async def _find_late(self, seconds: float) -> None:
        try:
            await self.find(seconds, waits=False)
        except ConfigurationError as error:
            _LOG.warning("embedding_server_does_not_fit upstream=%s: %s", self.name, error)
            failed = UpstreamFailed("The embedding model's Triton does not have it.", upstream=self.name)
            raise AttemptFailed(failed, Again.ELSEWHERE, "connect" if isinstance(error, Away) else "model") from None

    async def _metadata(self, seconds: float, waits: bool) -> Any:
        place = self._place
        request = _pb.ModelMetadataRequest(name=place.model, version=place.version)
        try:
            return await self._stub.ModelMetadata(request, timeout=seconds, wait_for_ready=waits)
        except grpc.aio.AioRpcError as error:
            detail = detail_of(error)
            if error.code() in _AWAY:
                reason = f"no answer from {place.target} within {seconds:g} s, or the model is not loaded"
                raise Away(f"'{place.key}': {reason} ({detail})") from None
            raise ConfigurationError(f"'{place.key}': {place.target} has no model '{place.model}' ({detail})") from None

    async def _check_batch_size(self, version: str) -> None:
        place = self._place
        request = _pb.ModelConfigRequest(name=place.model, version=version)
        try:
            answer = await self._stub.ModelConfig(request, timeout=place.timeout.total_seconds())
        except grpc.aio.AioRpcError:
            # A server may keep it from us; a batch that is too large is refused then when it comes.
            return
        takes = answer.config.max_batch_size
        if 0 < takes < place.most_texts:
            raise ConfigurationError(
                f"'{place.key}': the model '{place.model}' takes {takes} texts at once (max_batch_size), "
                f"and 'embedding.max_batch' is {place.most_texts}"
            )
