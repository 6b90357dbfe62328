"""Whole answers of public models, generated now: no cache and no stand-in answers for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc

from penstock.gateway.v1 import chat_service_pb2, chat_service_pb2_grpc
from penstock.llm.v1 import generation_pb2, message_pb2
from penstock_common.rpc.channel import open_channel
from penstock_suite.adapters.chat_client import credentials_of, failure_of
from penstock_suite.domain.answers import AnswerEnd, Turn
from penstock_suite.domain.requests import ChatTarget

_ROLES = {"system": message_pb2.ROLE_SYSTEM, "user": message_pb2.ROLE_USER, "assistant": message_pb2.ROLE_ASSISTANT}
_FEATURE = "eval"


class AnswerClient:
    """Asks for whole answers; the ledger has them under the feature `eval`."""

    def __init__(self, channel: grpc.aio.Channel, target: ChatTarget, timeout: float) -> None:
        self._stub: Any = chat_service_pb2_grpc.ChatServiceStub(channel)
        self._target, self._timeout = target, timeout

    async def answer(self, model: str, turns: Sequence[Turn], schema_json: str = "") -> tuple[str, AnswerEnd]:
        """Return an answer's text and how it ended.

        Raises:
            SuiteFailure: if the call fails; the sentence is the server's.
        """
        messages = [
            message_pb2.Message(role=_ROLES[turn.role], parts=[message_pb2.ContentPart(text=turn.text)])
            for turn in turns
        ]
        asked = generation_pb2.GenerationInput(model=model, messages=messages)
        if schema_json:
            asked.response_format.json_schema.name = "answer"
            asked.response_format.json_schema.schema_json = schema_json
        request = chat_service_pb2.ChatRequest(
            input=asked,
            cache_control=chat_service_pb2.CacheControl(no_store=True, no_cache=True),
            context=generation_pb2.RequestContext(feature=_FEATURE),
            no_degradation=True,
        )
        try:
            told = await self._stub.Chat(request, metadata=credentials_of(self._target), timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            raise failure_of(error, self._target) from None
        return "".join(part.text for part in told.message.parts if part.HasField("text")), _end(told)


def _end(told: chat_service_pb2.ChatResponse) -> AnswerEnd:
    reason = generation_pb2.FinishReason.Name(told.finish_reason).removeprefix("FINISH_REASON_").lower()
    return AnswerEnd(
        model=told.model,
        upstream=told.upstream,
        finish_reason=reason,
        input_tokens=told.usage.input_tokens,
        output_tokens=told.usage.output_tokens,
        cost_nano_usd=None if told.cost_is_unknown else told.cost_nano_usd,
    )


@asynccontextmanager
async def answer_client(target: ChatTarget, timeout_seconds: float) -> AsyncGenerator[AnswerClient]:
    """Yield a client; ``timeout_seconds`` is that of one answer."""
    async with open_channel(target.grpc_address) as channel:
        yield AnswerClient(channel, target, timeout_seconds)
