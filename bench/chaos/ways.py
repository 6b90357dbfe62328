"""Callers: each way to ask for a chat, over real sockets, strict about how an answer ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import aiohttp
import grpc
from google.protobuf import json_format
from google.rpc import status_pb2

from chaos.replicas import Replica
from penstock.gateway.v1 import chat_service_pb2 as chat_pb
from penstock.gateway.v1 import chat_service_pb2_grpc
from penstock.llm.v1 import generation_pb2, message_pb2
from penstock_common.errors import PenstockError, RateLimited
from penstock_common.status import error_from_rpc, error_from_status, reason_of
from penstock_faults import caller
from penstock_faults.table import Mode

PATIENCE_SECONDS = 600.0


class Way(StrEnum):
    """A surface, and whether the answer is streamed."""

    OPENAI_WHOLE = "OpenAI, whole"
    OPENAI_STREAM = "OpenAI, streamed"
    REST_WHOLE = "REST, whole"
    REST_STREAM = "REST, streamed"
    GRPC_WHOLE = "gRPC, whole"
    GRPC_STREAM = "gRPC, streamed"

    @property
    def streams(self) -> bool:
        """Whether the answer is streamed."""
        return self.value.endswith("streamed")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question: what, of whom, by whom, how."""

    serial: int
    text: str
    model: str
    key: str
    way: Way = Way.OPENAI_WHOLE
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def request_id(self) -> str:
        """What the ledger calls it."""
        return f"chaos-{self.serial}"

    @property
    def all_headers(self) -> dict[str, str]:
        """What goes beside it."""
        return {"authorization": f"Bearer {self.key}", "x-request-id": self.request_id, **self.headers}


@dataclass
class Heard:
    """What became of it. ``whole``: the answer came to its end as its surface says that; ``error`` is a typed error's reason."""

    text: str = ""
    whole: bool = False
    error: str = ""
    message: str = ""
    upstream: str = ""
    retry_after_seconds: float | None = None
    cut: str = ""
    """How the exchange ended where it ended otherwise."""
    began: float = 0.0
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


class Callers:
    """Asks replicas; entered once."""

    def __init__(self) -> None:
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        for channel in self._channels.values():
            await channel.close()

    async def ask(self, asked: Asked, replica: Replica) -> Heard:
        """Return what a caller heard; whatever goes wrong is in it."""
        heard = Heard(began=time.monotonic())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await _ASK[asked.way](self, asked, replica, heard)
        except TimeoutError:
            heard.cut = "no end"
        except (OSError, aiohttp.ClientError, asyncio.IncompleteReadError, ValueError) as error:
            heard.cut = repr(error)[:200]
        heard.ended = time.monotonic()
        return heard

    async def _over_openai(self, asked: Asked, replica: Replica, heard: Heard) -> None:
        host, _, port = replica.http.rpartition(":")
        mode = Mode.STREAMED if asked.way.streams else Mode.WHOLE
        headers = {name: value for name, value in asked.all_headers.items() if name != "authorization"}
        question = caller.Question(
            model=asked.model, key=asked.key, mode=mode, host=host, port=int(port), text=asked.text, headers=headers
        )
        sight = await caller.ask(question)
        heard.text, heard.whole, heard.message = sight.text, sight.complete, sight.error_message
        heard.upstream, heard.retry_after_seconds = sight.answered_by.partition("/")[0], sight.retry_after_seconds
        if sight.error_code == "connection_cut":
            heard.cut = sight.error_code
        else:
            heard.error = _OPENAI_CODES.get(sight.error_code, sight.error_code).upper()

    async def _over_rest(self, asked: Asked, replica: Replica, heard: Heard) -> None:
        body = {"input": json_format.MessageToDict(_input(asked))}
        url = f"http://{replica.http}/api/v1/chat"
        if not asked.way.streams:
            async with self._session.post(url, json=body, headers=asked.all_headers) as response:
                document = await response.json()
                _note_retry_after(response.headers.get("retry-after"), heard)
            if response.status == 200:
                _hear_response(json_format.ParseDict(document, chat_pb.ChatResponse()), heard)
            else:
                _hear_status(document, heard)
            return
        async with self._session.post(f"{url}:stream", json=body, headers=asked.all_headers) as response:
            _note_retry_after(response.headers.get("retry-after"), heard)
            if response.status != 200:
                _hear_status(await response.json(), heard)
                return
            async for line in response.content:
                document = json.loads(line)
                if "error" in document:
                    _hear_status(document["error"], heard)
                else:
                    _hear_event(json_format.ParseDict(document["result"], chat_pb.StreamChatResponse()).event, heard)

    async def _over_grpc(self, asked: Asked, replica: Replica, heard: Heard) -> None:
        stub: Any = chat_service_pb2_grpc.ChatServiceStub(self._channel(replica.grpc))
        metadata = tuple(asked.all_headers.items())
        try:
            if asked.way.streams:
                call = stub.StreamChat(chat_pb.StreamChatRequest(input=_input(asked)), metadata=metadata)
                async for response in call:
                    _hear_event(response.event, heard)
            else:
                _hear_response(await stub.Chat(chat_pb.ChatRequest(input=_input(asked)), metadata=metadata), heard)
        except grpc.aio.AioRpcError as error:
            _hear_error(error_from_rpc(error), f"{error.code().name} {error.details()}", heard)

    def _channel(self, address: str) -> grpc.aio.Channel:
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address, options=(("grpc.enable_retries", 0),))
        return self._channels[address]


_ASK = {
    way: getattr(Callers, f"_over_{way.value.partition(',')[0].lower()}") for way in Way
}  # fmt: skip
_OPENAI_CODES = {"rate_limit_exceeded": "rate_limited", "content_policy_violation": "content_refused"}


def _input(asked: Asked) -> generation_pb2.GenerationInput:
    turn = message_pb2.Message(role=message_pb2.ROLE_USER, parts=[message_pb2.ContentPart(text=asked.text)])
    return generation_pb2.GenerationInput(model=asked.model, messages=[turn])


def _hear_response(response: chat_pb.ChatResponse, heard: Heard) -> None:
    heard.text = "".join(part.text for part in response.message.parts)
    heard.whole = response.finish_reason == generation_pb2.FINISH_REASON_STOP
    heard.upstream = response.upstream


def _hear_event(event: generation_pb2.GenerationEvent, heard: Heard) -> None:
    if heard.whole:
        heard.cut = "something came after the end"
    heard.text += event.text_delta.text
    if event.HasField("finished"):
        heard.whole = event.finished.reason == generation_pb2.FINISH_REASON_STOP
        heard.upstream = event.finished.answered_by.upstream


def _hear_status(document: dict[str, Any], heard: Heard) -> None:
    _hear_error(error_from_status(json_format.ParseDict(document, status_pb2.Status())), str(document), heard)


def _hear_error(error: PenstockError | None, otherwise: str, heard: Heard) -> None:
    heard.whole = False
    if error is None:
        heard.cut = otherwise[:200]
        return
    heard.error, heard.message = reason_of(error), error.message
    if isinstance(error, RateLimited):
        heard.retry_after_seconds = error.retry_after.total_seconds()


def _note_retry_after(header: str | None, heard: Heard) -> None:
    if header is not None:
        heard.retry_after_seconds = float(header)
