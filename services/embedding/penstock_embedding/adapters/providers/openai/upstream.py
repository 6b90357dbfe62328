"""One provider of embeddings, over HTTP, in whichever format it speaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from penstock_common.configuration import ConfigurationError
from penstock_common.http.address import parse_address
from penstock_common.http.client import HttpClient
from penstock_common.http.failures import HttpFailure
from penstock_common.http.pool import HttpPool
from penstock_common.http.request_head import RequestHead, header_line
from penstock_common.http.response import Response
from penstock_common.rpc.scope import CURRENT_SCOPE, TRACEPARENT_KEY
from penstock_embedding.adapters.providers.format import Malformed
from penstock_embedding.adapters.providers.formats import FORMATS, OPENAI
from penstock_embedding.adapters.providers.openai.errors import failure_of, malformed_of, silence_of
from penstock_embedding.domain.upstream import Vectors

MAX_ANSWER_BYTES = 256 * 1024 * 1024
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "penstock"}

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderPlace:
    """Who is asked, and under which name it has the model.

    ``base_url`` ends where its ``format`` says. ``timeout`` is one attempt's, and
    ``timeout_with_others`` where another provider could be asked instead.
    """

    upstream: str
    model: str
    base_url: str
    api_key: str = ""
    format: str = OPENAI
    connect_timeout: timedelta = timedelta(seconds=3)
    timeout: timedelta = timedelta(seconds=30)
    timeout_with_others: timedelta = timedelta(seconds=10)


class ProviderUpstream:
    """A ``Upstream`` for texts."""

    def __init__(self, place: ProviderPlace, client: HttpClient) -> None:
        """Take the place, and the connections.

        Raises:
            ConfigurationError: if its address or key cannot be one.
        """
        self._format = FORMATS[place.format]
        headers = {**_HEADERS, **(self._format.key_headers(place.api_key) if place.api_key else {})}
        try:
            address = parse_address(self._format.url(place.base_url, place.model))
            self._head = RequestHead("POST", address, headers)
        except ValueError as error:
            raise ConfigurationError(f"the provider '{place.upstream}' of embeddings: {error}") from None
        self._pool: HttpPool = client.pool(address.origin)
        self._place = place

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return self._place.upstream

    async def ask(self, asked: list[str], seconds: float, *, others_left: bool, sent: Callable[[], None]) -> Vectors:
        """Return the texts' vectors, as ``Upstream`` says.

        Raises:
            AttemptFailed: if it does not answer, or not properly.
        """
        place = self._place
        timeout = place.timeout_with_others if others_left else place.timeout
        limit = asyncio.timeout(min(seconds, timeout.total_seconds()))
        try:
            async with limit:
                return await self._answer(await self._sent(self._format.body(place.model, asked), sent), asked)
        except TimeoutError:
            raise silence_of(place.upstream, "total") from None
        except HttpFailure as failure:
            _LOG.info("embedding_attempt_failed upstream=%s: %s", place.upstream, failure)
            raise failure_of(failure, place.upstream) from None
        except Malformed as error:
            _LOG.info("embedding_answer_malformed upstream=%s: %s", place.upstream, error)
            raise malformed_of(place.upstream) from None

    async def _answer(self, response: Response, texts: list[str]) -> Vectors:
        try:
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                raise await self._format.refusal(response, self._place.upstream)
            return self._format.vectors(await _bounded(response), texts)
        finally:
            response.release()

    async def _sent(self, body: bytes, sent: Callable[[], None]) -> Response:
        traceparent = CURRENT_SCOPE.get().traceparent
        more = header_line(TRACEPARENT_KEY, traceparent) if traceparent else b""
        connect_seconds = self._place.connect_timeout.total_seconds()
        return await self._pool.request(self._head, body, connect_seconds, more, sent)


async def _bounded(response: Response) -> bytes:
    body = await response.read_up_to(MAX_ANSWER_BYTES)
    if len(body) > MAX_ANSWER_BYTES:
        raise Malformed(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return body
