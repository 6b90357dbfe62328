"""The inference service as ports: what generates, and what tells of the upstreams' models."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.contract.inference import GenerateRequest, RunnableModel
from penstock_common.contract.wire.inference import GENERATE, LIST_MODELS
from penstock_common.llm.types import Batch
from penstock_common.rpc.client import Channel, ResponseStream
from penstock_common.telemetry.steps import Step

_LIST_TIMEOUT_SECONDS = 2.0


class InferenceClient:
    """Implements ``ports.Generator`` and ``report.Upstreams``; a generation ends with its request's deadline at the latest."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def generate(
        self, request: GenerateRequest, steps: list[Step], timeout: float | None = None
    ) -> ResponseStream[Batch]:
        """Return the answer; closing it ends the upstream's work."""
        return self._channel.stream(GENERATE, request, timeout=timeout, steps=steps)

    async def models(self) -> Sequence[RunnableModel]:
        """Return every model of every upstream."""
        return await self._channel.call(LIST_MODELS, None, timeout=_LIST_TIMEOUT_SECONDS)
