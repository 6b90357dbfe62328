"""A Qdrant server or cluster as an ``Engine``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urlsplit

import grpc
import structlog
from qdrant_client import grpc as _qdrant

from penstock_common.background import StartWork, background_work
from penstock_common.contract.points import Question
from penstock_common.faults import ConfigurationError
from penstock_common.points.asked import AskedPoints
from penstock_common.points.gated import GatedAsk, patience_of
from penstock_common.points.server.messages import Conversation
from penstock_common.points.server.schema import check, creation_of, missing_indexes
from penstock_common.points.store import Collection, PointsLate, PointsUnavailable
from penstock_common.rpc.grpc_channel import grpc_channel
from penstock_common.sections import Qdrant

# The generated code has no types.
_pb: Any = _qdrant

_DEFAULT_PORT = 6334
_PREPARATION_SECONDS = 30.0
_MOST_MESSAGE_BYTES = 64 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", _MOST_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MOST_MESSAGE_BYTES),
    # Whoever comes back is found within a second; gRPC's own would look after two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)

_log = structlog.get_logger(__name__)


class ServerEngine:
    """Implements ``Engine``. A collection is looked at, made and completed before it is first asked, and when it is lost."""

    def __init__(self, channel: grpc.aio.Channel, settings: Qdrant, start: StartWork) -> None:
        self._settings = settings
        self._start = start
        self._points: Any = _pb.PointsStub(channel)
        self._collections: Any = _pb.CollectionsStub(channel)
        self._metadata = (("api-key", settings.api_key.get_secret_value()),) if settings.api_key is not None else ()
        self._conversation = Conversation(settings.hnsw_ef, settings.quantization)
        self._prepared: dict[str, asyncio.Future[None]] = {}
        self._ask = GatedAsk("Qdrant", self._answer, patience_of(settings))

    def points(self, collection: Collection) -> AskedPoints:
        """Return the collection."""
        return AskedPoints(collection, self._ask)

    async def _answer(self, question: Question, timeout: float, /) -> Any:  # noqa: ASYNC109 - as in Points
        deadline = time.monotonic() + timeout
        try:
            async with asyncio.timeout(timeout):
                return await self._answer_until(question, deadline)
        except TimeoutError:
            raise PointsLate(f"Qdrant did not answer within {round(timeout * 1000)} ms.", service="qdrant") from None

    async def _answer_until(self, question: Question, deadline: float) -> Any:
        call = partial(self._call, deadline)
        for attempt in range(2):
            await self._preparation(question.collection)
            try:
                return await self._conversation.about(question, call)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND or attempt:
                    _refuse(error)
                _log.warning("vector_collection_lost", collection=question.collection.name)
                self._prepared.pop(question.collection.name, None)
        raise AssertionError("the second attempt returns or raises")

    def _call(self, deadline: float, method: str, request: Any) -> Any:
        left = max(deadline - time.monotonic(), 0.001)
        return getattr(self._points, method)(request, timeout=left, metadata=self._metadata)

    def _preparation(self, collection: Collection) -> asyncio.Future[None]:
        """Return what all wait for who need the collection; who leaves does not end it."""
        done = self._prepared.get(collection.name)
        if done is None:
            done = self._prepared[collection.name] = asyncio.get_running_loop().create_future()
            self._start(self._prepare(collection, done))
        return asyncio.shield(done)

    async def _prepare(self, collection: Collection, done: asyncio.Future[None]) -> None:
        try:
            await self._complete(collection)
        except PointsUnavailable as error:
            self._prepared.pop(collection.name, None)
            done.set_exception(error)
            # Nobody may be waiting any more.
            done.exception()
        except BaseException:
            done.cancel()
            raise
        else:
            done.set_result(None)

    async def _complete(self, collection: Collection) -> None:
        info = await self._info(collection)
        if info is None:
            await self._create(collection)
            info = await self._info(collection)
        check(collection, info)
        for request in missing_indexes(collection, info):
            await _or_unavailable(self._bounded(self._points.CreateFieldIndex, request))

    async def _info(self, collection: Collection) -> Any:
        request = _pb.GetCollectionInfoRequest(collection_name=collection.name)
        try:
            return (await self._bounded(self._collections.Get, request)).result
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            _refuse(error)

    async def _create(self, collection: Collection) -> None:
        try:
            await self._bounded(self._collections.Create, creation_of(collection, self._settings))
        except grpc.aio.AioRpcError as error:
            # Another process may have been first.
            if "already exists" not in (error.details() or ""):
                _refuse(error)

    def _bounded(self, method: Any, request: Any) -> Any:
        return method(request, timeout=_PREPARATION_SECONDS, metadata=self._metadata)


async def _or_unavailable(call: Coroutine[Any, Any, Any]) -> None:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        _refuse(error)


def _refuse(error: grpc.aio.AioRpcError) -> NoReturn:
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        raise PointsLate(f"Qdrant: {error.details()}", service="qdrant") from None
    raise PointsUnavailable(f"Qdrant: {error.code().name}: {error.details()}", service="qdrant") from None


@asynccontextmanager
async def open_server(settings: Qdrant) -> AsyncGenerator[ServerEngine]:
    """Yield the engine at ``url``; nothing is asked yet.

    Raises:
        ConfigurationError: if the file of the authority cannot be read.
    """
    opened = _open_channel(settings)
    # The channel goes first, and takes with it what is still being prepared.
    async with background_work() as start, opened as channel:
        yield ServerEngine(channel, settings, start)


def _open_channel(settings: Qdrant) -> grpc.aio.Channel:
    parts = urlsplit(settings.url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    target = f"{host}:{parts.port or _DEFAULT_PORT}"
    if parts.scheme == "http":
        return grpc_channel(target, _OPTIONS)
    authority: bytes | None = None
    if settings.ca_file is not None:
        try:
            authority = settings.ca_file.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"'qdrant.ca_file': {settings.ca_file}: {error.strerror}") from None
    return grpc_channel(target, _OPTIONS, grpc.ssl_channel_credentials(authority))
