"""One upstream that is asked questions over HTTP: a body in JSON, and a whole answer."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from penstock_common.contract.questions import ModeratedContent, RerankRequest
from penstock_common.http.address import parse_address
from penstock_common.http.client import HttpPools
from penstock_common.http.failures import HttpFailure
from penstock_common.http.request_head import RequestHead, header_line
from penstock_common.rpc.scope import CURRENT_SCOPE, TRACEPARENT_KEY
from penstock_inference.adapters.providers.http.answer import HEADERS, MAX_ERROR_BODY_BYTES, MAX_WHOLE_ANSWER_BYTES
from penstock_inference.adapters.providers.http.errors import failure_of_exchange, failure_of_response
from penstock_inference.adapters.providers.http.own_key import without_key
from penstock_inference.adapters.questions import moderation
from penstock_inference.adapters.questions.rerank_formats import RerankFormat
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.question_upstream import Moderated, Reranked
from penstock_inference.domain.rerank import checked


class HttpQuestions:
    """Implements ``QuestionUpstream``."""

    def __init__(
        self, client: HttpPools, base_url: str, key: str, key_headers: Mapping[str, str], rerank: RerankFormat
    ) -> None:
        """Take the upstream; ``rerank`` is how it is asked for rankings.

        Raises:
            ValueError: if the URL is none, or the key cannot stand in a header.
        """
        base, headers = base_url.rstrip("/"), {**HEADERS, "Accept": "application/json", **key_headers}
        address = parse_address(f"{base}{rerank.path}")
        self._key = key
        self._rerank = rerank
        self._rerank_head = RequestHead("POST", address, headers)
        self._moderate_head = RequestHead("POST", parse_address(f"{base}{moderation.PATH}"), headers)
        self.pool = client.pool(address.origin)

    async def rerank(self, request: RerankRequest, model: str, connect_seconds: float) -> Reranked:
        """Return how well the documents answer the query; see the port."""
        body = await self._answer(self._rerank_head, self._rerank.body(request, model), connect_seconds)
        return checked(self._rerank.read(body), request)

    async def moderate(self, contents: tuple[ModeratedContent, ...], model: str, connect_seconds: float) -> Moderated:
        """Return what is objectionable about the contents; see the port."""
        bodies = moderation.bodies_of(contents, model)
        each = len(contents) // len(bodies)
        judged = [
            moderation.read(await self._answer(self._moderate_head, body, connect_seconds), each) for body in bodies
        ]
        verdicts = tuple([verdict for one in judged for verdict in one.verdicts])
        return Moderated(verdicts, judged[0].model, sum(one.input_tokens for one in judged))

    async def _answer(self, head: RequestHead, body: bytes, connect_seconds: float) -> bytes:
        traceparent = CURRENT_SCOPE.get().traceparent
        more = header_line(TRACEPARENT_KEY, traceparent) if traceparent else b""
        try:
            response = await self.pool.request(head, body, connect_seconds, more)
            try:
                if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                    beginning = await response.read_up_to(MAX_ERROR_BODY_BYTES)
                    raise failure_of_response(response.status, response.headers, beginning)
                if response.header(b"content-encoding").lower() not in ("", "identity"):
                    raise AttemptFailed(FailureKind.MALFORMED, "the upstream compressed its answer, unasked")
                answer = await response.read_up_to(MAX_WHOLE_ANSWER_BYTES)
            finally:
                response.release()
        except HttpFailure as error:
            raise failure_of_exchange(error) from error
        except AttemptFailed as failure:
            raise without_key(failure, self._key) from failure.__cause__
        if len(answer) > MAX_WHOLE_ANSWER_BYTES:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold")
        return answer
