"""An embedding model of a provider that speaks OpenAI's format, over HTTP.

Callers' texts are not mixed: providers batch by themselves, and what each
caller owes is what the provider counted for it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from penstock_common.configuration import ConfigurationError
from penstock_common.errors import DeadlineExceeded, Overloaded, PenstockError, UpstreamFailed, UpstreamTimeout
from penstock_common.http.address import parse_address
from penstock_common.http.client import HttpClient
from penstock_common.http.failures import ConnectTimedOut, HttpFailure
from penstock_common.http.pool import HttpPool
from penstock_common.http.request_head import RequestHead, header_line
from penstock_common.http.response import Response
from penstock_common.rpc.scope import CURRENT_SCOPE, TRACEPARENT_KEY
from penstock_embedding.adapters.providers.openai.errors import Refusal, refusal_of
from penstock_embedding.adapters.providers.openai.request import body_of, pieces
from penstock_embedding.adapters.providers.openai.response import Malformed, embedded_from
from penstock_embedding.domain.embedder import Embedded

MAX_ANSWER_BYTES = 256 * 1024 * 1024
_FIRST_PAUSE_SECONDS = 0.2
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "penstock"}

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderModel:
    """Who is asked for which model. ``base_url`` ends before ``/embeddings``; ``timeout`` is one attempt's."""

    name: str
    upstream: str
    model: str
    base_url: str
    api_key: str = ""
    connect_timeout: timedelta = timedelta(seconds=3)
    timeout: timedelta = timedelta(seconds=30)
    attempts: int = 3
    max_in_flight: int = 256


class ProviderEmbeddings:
    """An ``EmbeddingModel``. Embedding changes nothing, so what fails in passing is asked again."""

    def __init__(self, pool: HttpPool, head: RequestHead, model: ProviderModel) -> None:
        self._pool = pool
        self._head = head
        self._model = model
        self._in_flight = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, model: ProviderModel) -> AsyncGenerator[ProviderEmbeddings, None]:
        """Yield the model; on exit, close its connections.

        Raises:
            ConfigurationError: if its address or key cannot be one.
        """
        headers = {**_HEADERS, **({"Authorization": f"Bearer {model.api_key}"} if model.api_key else {})}
        try:
            address = parse_address(f"{model.base_url.rstrip('/')}/embeddings")
            head = RequestHead("POST", address, headers)
        except ValueError as error:
            raise ConfigurationError(f"the provider '{model.upstream}' of embeddings: {error}") from None
        async with HttpClient() as client:
            yield cls(client.pool(address.origin), head, model)

    @property
    def name(self) -> str:
        """The name of the model."""
        return self._model.name

    @property
    def revision(self) -> str:
        """All that is known of it: a provider's name for a model is what its vectors go by."""
        return f"{self._model.upstream}/{self._model.model}"

    async def embed(self, texts: Sequence[str], deadline: float | None) -> Embedded:
        """Return the texts' vectors, as ``EmbeddingModel`` says.

        Raises:
            UpstreamFailed, UpstreamTimeout: if the provider does not answer, or not properly, each time it is asked.
        """
        if self._in_flight >= self._model.max_in_flight:
            raise Overloaded(f"{self._in_flight} requests wait for the provider '{self._model.upstream}'. Try again.")
        self._in_flight += 1
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
                return _joined([await self._piece(piece) for piece in pieces(texts)])
        except TimeoutError:
            raise DeadlineExceeded("The provider did not answer before the request's deadline.") from None
        finally:
            self._in_flight -= 1

    async def _piece(self, texts: list[str]) -> Embedded:
        body = body_of(self._model.model, texts)
        for left in reversed(range(self._model.attempts)):
            answer = await self._attempt(body, texts)
            if isinstance(answer, Embedded):
                return answer
            if not left or not answer.may_pass:
                _LOG.warning("embedding_attempts_failed upstream=%s: %s", self._model.upstream, answer.error)
                raise answer.error
            pause = _FIRST_PAUSE_SECONDS * 2 ** (self._model.attempts - 1 - left) * random.uniform(0.5, 1)  # noqa: S311
            await asyncio.sleep(max(pause, answer.retry_after.total_seconds() if answer.retry_after else 0))
        raise AssertionError("no attempt was allowed")

    async def _attempt(self, body: bytes, texts: list[str]) -> Embedded | Refusal:
        upstream = self._model.upstream
        try:
            async with asyncio.timeout(self._model.timeout.total_seconds()):
                return await self._answer(await self._sent(body), texts)
        except (TimeoutError, ConnectTimedOut):
            # The attempt's own. The deadline's cancels, and is told apart outside.
            return _passing(UpstreamTimeout(f"The provider '{upstream}' was silent.", upstream=upstream, stage="total"))
        except (HttpFailure, Malformed) as error:
            _LOG.info("embedding_attempt_failed upstream=%s: %s", upstream, error)
            return _passing(UpstreamFailed(f"The provider '{upstream}' gave no proper answer.", upstream=upstream))

    async def _answer(self, response: Response, texts: list[str]) -> Embedded | Refusal:
        try:
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                return refusal_of(response.status, response.headers, self._model.upstream)
            return embedded_from(await _bounded(response), texts)
        finally:
            response.release()

    async def _sent(self, body: bytes) -> Response:
        traceparent = CURRENT_SCOPE.get().traceparent
        more = header_line(TRACEPARENT_KEY, traceparent) if traceparent else b""
        return await self._pool.request(self._head, body, self._model.connect_timeout.total_seconds(), more)


def _passing(error: PenstockError) -> Refusal:
    return Refusal(error, may_pass=True)


async def _bounded(response: Response) -> bytes:
    body = await response.read_up_to(MAX_ANSWER_BYTES)
    if len(body) > MAX_ANSWER_BYTES:
        raise Malformed(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return body


def _joined(parts: list[Embedded]) -> Embedded:
    return Embedded(
        [vector for part in parts for vector in part.vectors],
        [truncated for part in parts for truncated in part.truncated],
        sum(part.input_tokens for part in parts),
    )
