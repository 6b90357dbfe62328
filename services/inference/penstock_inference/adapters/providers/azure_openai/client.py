"""One resource of Azure OpenAI, over HTTP: OpenAI's interfaces with Azure's paths, keys and errors."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import cast
from urllib.parse import quote

from penstock_common.http.body import Body
from penstock_common.http.request_head import RequestHead, header_line
from penstock_common.http.response import Response
from penstock_inference.adapters.providers.http.access_token import AccessToken
from penstock_inference.adapters.providers.http.answer import HttpAnswer
from penstock_inference.adapters.providers.openai.client import CompletionAnswer, OpenAIUpstream
from penstock_inference.adapters.providers.openai_responses.client import ResponsesAnswer, ResponsesUpstream
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Upstream, UpstreamAnswer, UpstreamCall


class Resource:
    """What both interfaces of a resource have; ``token`` is None where it is asked with a key."""

    token: AccessToken | None = None
    key: str


class AzureChat(OpenAIUpstream, Resource):
    """A resource's chat completions."""

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        return _AzureCompletion(self, call)


class AzureResponses(ResponsesUpstream, Resource):
    """A resource's Responses API."""

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        return _AzureResponse(self, call)


class Deployments:
    """Chat completions in the older form, where each deployment has a path of its own; ``open_chat`` opens one by its path."""

    def __init__(self, open_chat: Callable[[str], Upstream]) -> None:
        self._open = open_chat
        # Of models that the configuration names, which are few.
        self._known: dict[str, Upstream] = {}

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        upstream = self._known.get(call.model)
        if upstream is None:
            upstream = self._known[call.model] = self._open(f"/openai/deployments/{quote(call.model, safe='')}")
        return upstream.ask(call)


class _AzureAnswer(HttpAnswer):
    """What differs in an answer of Azure's."""

    __slots__ = ()

    _sent: str

    @property
    def _key(self) -> str:
        resource = cast("Resource", self._upstream)
        return resource.key if resource.token is None else getattr(self, "_sent", "")

    async def _exchanged(self, head: RequestHead, body: bytes | Body, more: bytes = b"") -> Response:
        resource = cast("Resource", self._upstream)
        if resource.token is not None:
            self._sent = await resource.token.get()
            more += header_line("authorization", f"Bearer {self._sent}")
        return await super()._exchanged(head, body, more)

    def _failure(self, response: Response, body: bytes) -> AttemptFailed:
        token = cast("Resource", self._upstream).token
        if token is not None and response.status == HTTPStatus.UNAUTHORIZED:
            token.refused(self._sent)
        failure = super()._failure(response, body)
        if response.status == HTTPStatus.FAILED_DEPENDENCY and failure.kind is FailureKind.MISCONFIGURED:
            # A model that took too long, behind Azure's own gateway.
            failure.kind = FailureKind.SERVER_ERROR
        return failure


class _AzureCompletion(_AzureAnswer, CompletionAnswer):
    __slots__ = ("_sent",)


class _AzureResponse(_AzureAnswer, ResponsesAnswer):
    __slots__ = ("_sent",)
