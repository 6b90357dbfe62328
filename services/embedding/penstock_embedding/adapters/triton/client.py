"""An embedding model on a Triton: token ids go there, vectors come back; several batches may be under way."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from penstock_common.configuration import ConfigurationError
from penstock_common.errors import DeadlineExceeded, UpstreamFailed
from penstock_embedding.adapters.model_files import TokenizerFiles
from penstock_embedding.adapters.tokenization import WindowTokenizer
from penstock_embedding.adapters.triton.errors import UPSTREAM, detail_of, error_of, may_pass
from penstock_embedding.adapters.triton.place import TritonPlace
from penstock_embedding.adapters.triton.tensors import Malformed, check_tensors, request_of, vectors_from
from penstock_embedding.domain.batching import PreparedText
from penstock_embedding.domain.embedder import Vector

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
# Tokenizing so much takes a third of a millisecond, which is what going to a thread and back costs a busy loop.
_SHORT_CHARACTERS = 1000
_FIRST_PAUSE_SECONDS = 0.1
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
# The generated code has no types.
_pb: Any = service_pb2

_LOG = logging.getLogger(__name__)


class TritonModel:
    """A ``BatchModel``. Embedding changes nothing, so what fails in passing is asked again.

    One version of the model is asked for as long as this lives: another's
    vectors may not be compared to its own.
    """

    def __init__(self, channel: grpc.aio.Channel, place: TritonPlace, name: str, tokenizer: WindowTokenizer) -> None:
        stub: Any = service_pb2_grpc.GRPCInferenceServiceStub
        self._stub = stub(channel)
        self._place = place
        self._tokenizer = tokenizer
        self._version = place.version
        self._name = name

    @classmethod
    @asynccontextmanager
    async def open(cls, place: TritonPlace, name: str, files: TokenizerFiles) -> AsyncGenerator[TritonModel, None]:
        """Yield the model, which the server has by then; on exit, close the connection.

        Raises:
            ConfigurationError: if the server does not answer, has no such model, or one with other tensors.
        """
        tokenizer = await asyncio.to_thread(WindowTokenizer, files.tokenizer, files.max_tokens)
        async with grpc.aio.insecure_channel(place.target, options=_OPTIONS) as channel:
            model = cls(channel, place, name, tokenizer)
            await model._find()
            yield model

    @property
    def name(self) -> str:
        """The name of the model."""
        return self._name

    @property
    def revision(self) -> str:
        """The model's version there, and a digest of how texts become token ids here."""
        return f"triton/{self._place.model}/{self._version}/{self._tokenizer.digest}"

    async def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        """Return the texts' tokens, as ``BatchModel`` says."""
        if sum(map(len, texts)) <= _SHORT_CHARACTERS:
            return self._tokenizer.prepare(texts)
        return await asyncio.to_thread(self._tokenizer.prepare, texts)

    async def run(self, batch: Sequence[PreparedText], deadline: float | None) -> list[Vector]:
        """Return the texts' vectors, as ``BatchModel`` says.

        Raises:
            UpstreamFailed, UpstreamTimeout, Overloaded: if the server does not answer properly each time it is asked.
            DeadlineExceeded: if the deadline has passed.
        """
        request = request_of(self._place.model, self._version, batch)
        for left in reversed(range(self._place.attempts)):
            try:
                response = await self._stub.ModelInfer(request, timeout=self._timeout(deadline))
                return vectors_from(response, len(batch))
            except Malformed as error:
                _LOG.warning("embedding_answer_malformed upstream=%s: %s", UPSTREAM, error)
                raise UpstreamFailed("The embedding model's Triton gave no proper answer.", upstream=UPSTREAM) from None
            except grpc.aio.AioRpcError as error:
                if not left or not may_pass(error):
                    _LOG.warning("embedding_run_failed upstream=%s: %s", UPSTREAM, detail_of(error))
                    raise error_of(error) from None
            await asyncio.sleep(_FIRST_PAUSE_SECONDS * 2 ** (self._place.attempts - 1 - left) * random.uniform(0.5, 1))  # noqa: S311
        raise AssertionError("no attempt was allowed")

    def _timeout(self, deadline: float | None) -> float:
        timeout = self._place.timeout.total_seconds()
        if deadline is None:
            return timeout
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("The texts were not embedded before the request's deadline.")
        return min(timeout, left)

    async def _find(self) -> None:
        place = self._place
        metadata = await self._asked(
            self._stub.ModelMetadata, _pb.ModelMetadataRequest(name=place.model, version=place.version)
        )
        try:
            check_tensors(metadata)
        except Malformed as error:
            raise ConfigurationError(f"'embedding.triton': the model '{place.model}' does not fit: {error}") from None
        # Triton serves the newest version unless it is asked for another.
        versions = [version for version in metadata.versions if version.isdigit()]
        self._version = place.version or max(versions, key=int, default="1")
        await self._check_batch_size()

    async def _check_batch_size(self) -> None:
        place = self._place
        request = _pb.ModelConfigRequest(name=place.model, version=self._version)
        try:
            answer = await self._stub.ModelConfig(request, timeout=place.timeout.total_seconds())
        except grpc.aio.AioRpcError:
            # A server may keep it from us; a batch that is too large is refused then when it comes.
            return
        takes = answer.config.max_batch_size
        if 0 < takes < place.most_texts:
            raise ConfigurationError(
                f"'embedding.triton': the model '{place.model}' takes {takes} texts at once (max_batch_size), "
                f"and 'embedding.max_batch' is {place.most_texts}"
            )

    async def _asked(self, method: Any, request: Any) -> Any:
        place = self._place
        seconds = (place.patience or place.timeout).total_seconds()
        try:
            return await method(request, timeout=seconds, wait_for_ready=place.patience is not None)
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                reason = f"no answer from {place.target} within {seconds:g} s, or the model is not loaded"
            else:
                reason = f"{place.target} has no model '{place.model}'"
            raise ConfigurationError(f"'embedding.triton': {reason} ({detail_of(error)})") from None
