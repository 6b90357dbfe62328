"""The server. Needs the extra ``qdrant``.

    async with QdrantServer(folder) as server:
        ...  # ask server.url
        server.faults.delay_seconds = 2.0

It refuses what the real one refuses: vectors of another dimension, collections that are not there, and, in strict mode,
filters without an index. Its collections are gone when it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import grpc
from qdrant_client import grpc as _qdrant

from penstock_faults.qdrant import convert
from penstock_faults.qdrant.collections import Collections, Refused

# The generated code has no types.
_pb: Any = _qdrant

_READS = ("Query", "Scroll", "Count", "Get")
_FULL = "Service internal error: No space left on device: WAL buffer size exceeds available disk space"


@dataclass
class Faults:
    """What goes wrong from now on."""

    delay_seconds: float = 0.0
    """Before each answer."""
    silent: bool = False
    """No call is answered any more, and none refused."""
    full: bool = False
    """Nothing is written any more."""


class Seen(NamedTuple):
    """A call that came: ``Query``, ``Upsert`` and so on, and its message."""

    method: str
    request: Any


class QdrantServer:
    """Serves while it is entered."""

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str = "",
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        """With ``credentials`` it is reached over TLS."""
        self.faults = Faults()
        self.seen: list[Seen] = []
        self.port = port
        self.collections = Collections(folder)
        self._host = host
        self._api_key = api_key
        self._credentials = credentials
        self._server: grpc.aio.Server | None = None

    @property
    def url(self) -> str:
        """What ``qdrant.url`` names."""
        return f"{'https' if self._credentials else 'http'}://{self._host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        self._server.add_generic_rpc_handlers(
            (
                self._handlers("qdrant.Points", _POINTS),
                self._handlers("qdrant.Collections", _COLLECTIONS),
            )
        )
        address = f"{self._host}:{self.port}"
        self.port = (
            self._server.add_secure_port(address, self._credentials)
            if self._credentials
            else self._server.add_insecure_port(address)
        )
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            await self._server.stop(None)
        for name in self.collections:
            self.collections.drop(name)

    def _handlers(self, service: str, methods: dict[str, tuple[Any, _Play]]) -> Any:
        return grpc.method_handlers_generic_handler(
            service,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    partial(self._answer, name, play),
                    request_deserializer=message.FromString,
                    response_serializer=lambda response: response.SerializeToString(),
                )
                for name, (message, play) in methods.items()
            },
        )

    async def _answer(self, method: str, play: _Play, request: Any, context: Any) -> Any:
        self.seen.append(Seen(method, request))
        if self.faults.silent:
            await asyncio.Event().wait()
        if self.faults.delay_seconds:
            await asyncio.sleep(self.faults.delay_seconds)
        try:
            self._check(method, context)
            return play(self.collections, request)
        except Refused as refused:
            await context.abort(refused.status, str(refused))
        except convert.NotPlayed as error:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, str(error))

    def _check(self, method: str, context: Any) -> None:
        if self.faults.full and method not in _READS:
            raise Refused(grpc.StatusCode.INTERNAL, _FULL)
        if self._api_key and ("api-key", self._api_key) not in [tuple(pair) for pair in context.invocation_metadata()]:
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, "Must provide an API key or an Authorization bearer token")


_Play = Callable[[Collections, Any], Any]
_COLLECTIONS: dict[str, tuple[Any, _Play]] = {
    "Create": (_pb.CreateCollection, Collections.create),
    "Get": (_pb.GetCollectionInfoRequest, Collections.info),
}
_POINTS: dict[str, tuple[Any, _Play]] = {
    "CreateFieldIndex": (_pb.CreateFieldIndexCollection, Collections.index),
    "Upsert": (_pb.UpsertPoints, Collections.upsert),
    "Query": (_pb.QueryPoints, Collections.query),
    "Scroll": (_pb.ScrollPoints, Collections.scroll),
    "Count": (_pb.CountPoints, Collections.count),
    "Delete": (_pb.DeletePoints, Collections.delete),
    "SetPayload": (_pb.SetPayloadPoints, Collections.set_payload),
}
