"""The public chat API as a caller sees it, over penstock-proto's stubs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc

from penstock.gateway.v1 import chat_service_pb2, chat_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc
from penstock.llm.v1 import generation_pb2, message_pb2
from penstock_common.rpc.channel import open_channel
from penstock_common.rpc.streaming import cancelled_on_exit
from penstock_suite.adapters.gateway_client import REFUSALS
from penstock_suite.domain.answers import AnswerEnd, Piece, Turn
from penstock_suite.domain.failure import Misconfigured, NotThere, Refused, SuiteFailure, Unreachable
from penstock_suite.domain.requests import ChatTarget

_ROLES = {"user": message_pb2.ROLE_USER, "assistant": message_pb2.ROLE_ASSISTANT}
_REASON_PREFIX = "FINISH_REASON_"
_LIST_TIMEOUT_SECONDS = 10.0
_CHAT = "chat"


class ChatClient:
    """Streams answers of one model."""

    def __init__(self, channel: grpc.aio.Channel, target: ChatTarget, model: str) -> None:
        self._stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        self._target = target
        self.model = model

    async def stream(self, turns: Sequence[Turn]) -> AsyncIterator[Piece | AnswerEnd]:
        """Yield the answer's pieces and then its end; leaving early ends the upstream's work.

        Raises:
            SuiteFailure: if the call fails; the sentence is the server's.
        """
        request = chat_service_pb2.StreamChatRequest(
            input=generation_pb2.GenerationInput(model=self.model, messages=[_message(turn) for turn in turns])
        )
        try:
            async with cancelled_on_exit(self._stub.StreamChat(request, metadata=credentials_of(self._target))) as call:
                async for piece in _pieces(call):
                    yield piece
        except grpc.aio.AioRpcError as error:
            raise failure_of(error, self._target) from None


async def _pieces(call: Any) -> AsyncIterator[Piece | AnswerEnd]:
    usage = generation_pb2.TokenUsage()
    async for response in call:
        match response.event.WhichOneof("event"):
            case "text_delta":
                yield Piece(response.event.text_delta.text)
            case "reasoning_delta":
                yield Piece(response.event.reasoning_delta.text, is_reasoning=True)
            case "usage":
                usage = response.event.usage
            case "finished":
                yield _end(response.event.finished, usage)
            case _:
                pass


@asynccontextmanager
async def chat_client(target: ChatTarget) -> AsyncGenerator[ChatClient]:
    """Yield a client for the target's model, or the first that its key may use and that chats.

    Raises:
        SuiteFailure: if nobody answers there, or the key is refused.
    """
    async with open_channel(target.grpc_address) as channel:
        yield ChatClient(channel, target, target.model or await _first_model(channel, target))


async def _first_model(channel: grpc.aio.Channel, target: ChatTarget) -> str:
    stub: Any = model_service_pb2_grpc.ModelServiceStub(channel)
    try:
        answer = await stub.ListModels(
            model_service_pb2.ListModelsRequest(), metadata=credentials_of(target), timeout=_LIST_TIMEOUT_SECONDS
        )
    except grpc.aio.AioRpcError as error:
        raise failure_of(error, target) from None
    for model in answer.models:
        if _CHAT in model.capabilities:
            return str(model.name)
    raise Misconfigured("the key may not use any model that chats: give it one, or use another key with --key")


def credentials_of(target: ChatTarget) -> tuple[tuple[str, str], ...]:
    """Return the metadata that shows the target's key."""
    return (("authorization", f"Bearer {target.key}"),)


def _message(turn: Turn) -> message_pb2.Message:
    return message_pb2.Message(role=_ROLES[turn.role], parts=[message_pb2.ContentPart(text=turn.text)])


def _end(finished: generation_pb2.GenerationFinished, usage: generation_pb2.TokenUsage) -> AnswerEnd:
    reason = generation_pb2.FinishReason.Name(finished.reason).removeprefix(_REASON_PREFIX).lower()
    return AnswerEnd(
        model=finished.answered_by.model,
        upstream=finished.answered_by.upstream,
        finish_reason=reason,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_nano_usd=None if finished.unit_prices.is_unknown else finished.cost_nano_usd,
    )


def failure_of(error: grpc.aio.AioRpcError, target: ChatTarget) -> SuiteFailure:
    """Return what the command says of a call that failed."""
    if error.code() is grpc.StatusCode.UNAVAILABLE and "connect" in (error.details() or ""):
        return Unreachable(f"nobody answers at {target.grpc_address}: start a stack with 'penstock up'")
    if error.code() in REFUSALS:
        return Refused(error.details() or error.code().name)
    if error.code() is grpc.StatusCode.NOT_FOUND:
        return NotThere(error.details() or error.code().name)
    if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
        return Misconfigured(error.details() or error.code().name)
    return SuiteFailure(error.details() or error.code().name)
