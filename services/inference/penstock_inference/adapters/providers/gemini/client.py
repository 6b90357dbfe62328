"""One upstream that speaks Gemini's ``generateContent``, over HTTP."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from urllib.parse import quote

from penstock_common.http.address import Address, parse_address
from penstock_common.http.body import Body
from penstock_common.http.client import HttpPools
from penstock_common.http.request_head import RequestHead
from penstock_common.http.response import Response
from penstock_inference.adapters.providers.gemini.errors import failure_of
from penstock_inference.adapters.providers.gemini.manner import Manner
from penstock_inference.adapters.providers.gemini.request import body_of
from penstock_inference.adapters.providers.gemini.stream import ContentStream, whole_answer
from penstock_inference.adapters.providers.http.answer import HEADERS, HttpAnswer
from penstock_inference.domain.failure import AttemptFailed
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import UpstreamAnswer, UpstreamCall, UpstreamEvent

_LOG = logging.getLogger(__name__)

# Models that came before levels name them, in one spelling or another.
_REFUSES_LEVELS = re.compile(rb"thinking[ _]?level", re.IGNORECASE)
_WHOLE = "generateContent"
_STREAM = "streamGenerateContent?alt=sse"


class GeminiUpstream:
    """Asks one upstream; ``base_url`` ends before ``/models``."""

    models = "models"
    """Where a model is that has a plain name."""

    def __init__(self, client: HttpPools, base_url: str, api_key: str, manner: Manner) -> None:
        """Take the upstream.

        Raises:
            ValueError: if the URL is none, or the key cannot stand in a header.
        """
        self.key = api_key
        self.manner = manner
        self._base_url = base_url.rstrip("/")
        self._headers = {**HEADERS, "x-goog-api-key": api_key} if api_key else HEADERS
        self.by_budget: set[str] = set()
        """The models that have refused levels of thinking, and are told budgets."""
        self._heads: dict[tuple[str, bool], RequestHead] = {}
        self.pool = client.pool(self._address("", _WHOLE).origin)
        self.head("", whole=True)

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        return GeminiAnswer(self, call)

    def head(self, model: str, *, whole: bool) -> RequestHead:
        """Return the head of requests to a model; there are as many as the configuration has models."""
        head = self._heads.get((model, whole))
        if head is None:
            address = self._address(model, _WHOLE if whole else _STREAM)
            head = self._heads[model, whole] = RequestHead("POST", address, self._headers)
        return head

    def _address(self, model: str, method: str) -> Address:
        return parse_address(f"{self._base_url}/{resource_of(model, self.models)}:{method}")


def resource_of(model: str, collection: str) -> str:
    """Return the path of a model: of a plain name within ``collection``, as in ``tunedModels/mine`` as it is written."""
    return quote(model if "/" in model else f"{collection}/{model}", safe="/@")


class GeminiAnswer(HttpAnswer):
    """One answer; see the port."""

    __slots__ = ()

    _upstream: GeminiUpstream

    def _request(self) -> tuple[RequestHead, bytes | Body]:
        call, upstream, policy = self._call, self._upstream, FieldPolicy(self._call.unsupported)
        body = body_of(call, upstream.manner, policy, by_budget=call.model in upstream.by_budget)
        self.dropped = policy.dropped
        return upstream.head(call.model, whole=call.whole), body

    def _asks_otherwise(self, response: Response, body: bytes) -> bool:
        """Return whether a level of thinking was refused that the model can be told as a budget."""
        model, known = self._call.model, self._upstream.by_budget
        is_for_that = response.status == HTTPStatus.BAD_REQUEST and _REFUSES_LEVELS.search(body) is not None
        if not is_for_that or model in known or not self._call.input.sampling.reasoning_effort:
            return False
        _LOG.info("thinking_by_budget model=%s: it takes no levels", model)
        known.add(model)
        return True

    def _stream(self) -> ContentStream:
        return ContentStream(self._call.input)

    def _events_of_whole(self, body: bytes) -> list[UpstreamEvent]:
        return whole_answer(body, self._call.input)

    def _failure(self, response: Response, body: bytes) -> AttemptFailed:
        return failure_of(response.status, response.headers, body)
