"""OpenAI's batches: a file of requests is uploaded, and a batch is made of it that is found again by its metadata."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from penstock_common.contract.upstream_batches import (
    KeptAnswer,
    UpstreamBatch,
    UpstreamBatchAnswer,
    UpstreamBatchState,
)
from penstock_common.http.address import parse_address
from penstock_common.http.body import ArrivingBody
from penstock_common.http.client import HttpPools
from penstock_common.http.failures import HttpFailure
from penstock_common.http.request_head import RequestHead
from penstock_common.http.response import Response
from penstock_inference.adapters.batches.openai_kept import KeptCompletions
from penstock_inference.adapters.batches.openai_lines import answers_in, line_of
from penstock_inference.adapters.providers.http.answer import HEADERS, MAX_ERROR_BODY_BYTES
from penstock_inference.adapters.providers.http.errors import failure_of_exchange, failure_of_response
from penstock_inference.adapters.providers.http.own_key import without_key
from penstock_inference.adapters.providers.openai.dialect import Dialect
from penstock_inference.adapters.providers.openai.interfaces import needs_responses
from penstock_inference.adapters.providers.openai.request import body_from_input
from penstock_inference.domain.batch_upstream import BatchNotThere
from penstock_inference.domain.failure import AttemptFailed, FailureKind, unsupported
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import Upstream, UpstreamCall

ENDPOINT = "/v1/chat/completions"
"""What the lines of a batch ask, wherever the upstream's address ends."""
NAME = "penstock_batch"
"""The member of a batch's metadata that has its name."""
FILES_KEPT_SECONDS = 5 * 24 * 3600
"""How long an upstream keeps the files of a batch that can be told so."""
_MOST_BODY_BYTES = 1024 * 1024
_PAGE, _MOST_PAGES = 100, 50
_STATES = {
    "completed": UpstreamBatchState.ENDED,
    "expired": UpstreamBatchState.ENDED,
    "cancelled": UpstreamBatchState.ENDED,
    "failed": UpstreamBatchState.REFUSED,
}


class _Counts(msgspec.Struct):
    completed: int = 0
    failed: int = 0


class _Fault(msgspec.Struct):
    message: str | None = None


class _Faults(msgspec.Struct):
    data: list[_Fault] | None = None


class _Batch(msgspec.Struct):
    id: str
    status: str = ""
    created_at: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: _Counts | None = None
    errors: _Faults | None = None
    metadata: dict[str, object] | None = None

    def told(self) -> UpstreamBatch:
        """Return it as the port knows it; a state of a later time is one that others follow."""
        counts = self.request_counts or _Counts()
        faults = (self.errors and self.errors.data) or []
        reason = "; ".join([fault.message for fault in faults if fault.message])[:1000]
        state = _STATES.get(self.status, UpstreamBatchState.OPEN)
        return UpstreamBatch(self.id, state, max(0, counts.completed), max(0, counts.failed), reason)


class _Page(msgspec.Struct):
    data: list[_Batch]
    has_more: bool = False


class _File(msgspec.Struct):
    id: str


_ToldT = TypeVar("_ToldT", _Batch, _Page, _File)

_BATCH, _PAGES, _FILE = msgspec.json.Decoder(_Batch), msgspec.json.Decoder(_Page), msgspec.json.Decoder(_File)


class OpenAIBatches:
    """Implements ``BatchUpstream``."""

    def __init__(
        self, client: HttpPools, base_url: str, key: str, dialect: Dialect, *, takes_expiry: bool = False
    ) -> None:
        """Take the upstream, whose ``base_url`` ends before ``/batches``; ``takes_expiry``: it can be told when files expire.

        Raises:
            ValueError: if the URL is none, or the key cannot stand in a header.
        """
        self._base = base_url.rstrip("/")
        self._key = key
        self._dialect = dialect
        self._takes_expiry = takes_expiry
        bearer = {"Authorization": f"Bearer {key}"} if key else {}
        self._headers: Mapping[str, str] = {**HEADERS, "Accept": "application/json", **bearer}
        self.pool = client.pool(parse_address(self._base).origin)
        self._head("GET", "/batches")

    def line(self, name: str, call: UpstreamCall) -> bytes:
        """Return a request as it stands in a batch; see the port."""
        if needs_responses(call.input, call.facts):
            raise unsupported("input", "is one for the Responses API")
        if not self._dialect.custom_tools and any(tool.custom_json for tool in call.input.tools):
            raise unsupported("input.tools", "has one of free text")
        policy = FieldPolicy(call.unsupported)
        body = body_from_input(call.input, call.model, self._dialect, policy, whole=True, facts=call.facts)
        return line_of(name, ENDPOINT, body)

    async def find(self, name: str, since: datetime, connect_seconds: float) -> UpstreamBatch | None:
        """Return the batch that was begun under a name; see the port. The newest come first."""
        after = ""
        for _ in range(_MOST_PAGES):
            query = urlencode({"limit": _PAGE, **({"after": after} if after else {})})
            page = _read(_PAGES, await self._asked("GET", f"/batches?{query}", b"", connect_seconds))
            for batch in page.data:
                if (batch.metadata or {}).get(NAME) == name:
                    return batch.told()
            if not page.has_more or not page.data or page.data[-1].created_at < since.timestamp():
                return None
            after = page.data[-1].id
        raise AttemptFailed(FailureKind.MALFORMED, "the upstream lists batches without end")

    async def begin(self, name: str, lines: Sequence[bytes], connect_seconds: float) -> UpstreamBatch:
        """Begin a batch under a name; see the port. It is asked for once: what is sent twice is paid for twice."""
        file_id = await self._uploaded(name, lines, connect_seconds)
        asked: dict[str, object] = {
            "input_file_id": file_id,
            "endpoint": ENDPOINT,
            "completion_window": "24h",
            "metadata": {NAME: name},
        }
        if self._takes_expiry:
            asked["output_expires_after"] = {"anchor": "created_at", "seconds": FILES_KEPT_SECONDS}
        return _read(_BATCH, await self._asked_once("/batches", msgspec.json.encode(asked), connect_seconds)).told()

    async def get(self, batch_id: str, connect_seconds: float) -> UpstreamBatch:
        """Return how a batch stands; see the port."""
        return (await self._batch(batch_id, connect_seconds)).told()

    async def cancel(self, batch_id: str, connect_seconds: float) -> UpstreamBatch:
        """Ask for a batch's end; see the port."""
        try:
            path = f"/batches/{quote(batch_id, safe='')}/cancel"
            return _read(_BATCH, await self._asked("POST", path, b"", connect_seconds)).told()
        except AttemptFailed as failure:
            if failure.kind is not FailureKind.BAD_REQUEST:
                raise
            # It has ended, or is being ended.
            return await self.get(batch_id, connect_seconds)

    async def read(self, batch_id: str, connect_seconds: float) -> AsyncGenerator[Sequence[UpstreamBatchAnswer]]:
        """Yield what a batch was answered with; see the port."""
        batch = await self._batch(batch_id, connect_seconds)
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            async with aclosing(self._content(file_id, connect_seconds)) as pieces:
                async for several in answers_in(pieces):
                    yield several

    def kept(self, answer: KeptAnswer) -> Upstream:
        """Return an upstream that tells an answer of a batch; see the port."""
        return KeptCompletions(answer)

    async def _batch(self, batch_id: str, connect_seconds: float) -> _Batch:
        return _read(_BATCH, await self._asked("GET", f"/batches/{quote(batch_id, safe='')}", b"", connect_seconds))

    async def _uploaded(self, name: str, lines: Sequence[bytes], connect_seconds: float) -> str:
        boundary = secrets.token_hex(16)
        fields = {"purpose": "batch"}
        if self._takes_expiry:
            fields |= {"expires_after[anchor]": "created_at", "expires_after[seconds]": str(FILES_KEPT_SECONDS)}
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
            for field, value in fields.items()
        ]
        file = f'Content-Disposition: form-data; name="file"; filename="{quote(name)}.jsonl"'
        parts.append(f"--{boundary}\r\n{file}\r\nContent-Type: application/jsonl\r\n\r\n".encode())
        body = b"".join([*parts, *lines, f"\r\n--{boundary}--\r\n".encode()])
        kind = f"multipart/form-data; boundary={boundary}"
        return _read(_FILE, await self._asked("POST", "/files", body, connect_seconds, kind)).id

    async def _content(self, file_id: str, connect_seconds: float) -> AsyncGenerator[bytes]:
        head = self._head("GET", f"/files/{quote(file_id, safe='')}/content")
        try:
            response = await self.pool.request(head, b"", connect_seconds)
            try:
                await self._checked(response)
                while data := await response.read():
                    yield data
            finally:
                response.release()
        except HttpFailure as error:
            raise failure_of_exchange(error) from error

    async def _asked(
        self, method: str, path: str, body: bytes, connect_seconds: float, kind: str = "application/json"
    ) -> bytes:
        try:
            return await self._body_of(await self.pool.request(self._head(method, path, kind), body, connect_seconds))
        except HttpFailure as error:
            raise failure_of_exchange(error) from error

    async def _asked_once(self, path: str, body: bytes, connect_seconds: float) -> bytes:
        """Return the answer to a request that no connection which was lost has sent twice."""
        arriving = ArrivingBody(len(body))
        feeding = asyncio.get_running_loop().create_task(_feed(arriving, body))
        try:
            response = await self.pool.request_once(self._head("POST", path), arriving, connect_seconds)
            return await self._body_of(response)
        except HttpFailure as error:
            raise failure_of_exchange(error) from error
        finally:
            feeding.cancel()

    async def _body_of(self, response: Response) -> bytes:
        try:
            await self._checked(response)
            body = await response.read_up_to(_MOST_BODY_BYTES)
        finally:
            response.release()
        if len(body) > _MOST_BODY_BYTES:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than tells of a batch")
        return body

    async def _checked(self, response: Response) -> None:
        if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            return
        beginning = await response.read_up_to(MAX_ERROR_BODY_BYTES)
        if response.status == HTTPStatus.NOT_FOUND:
            raise BatchNotThere
        raise without_key(failure_of_response(response.status, response.headers, beginning), self._key)

    def _head(self, method: str, path: str, kind: str = "application/json") -> RequestHead:
        return RequestHead(method, parse_address(f"{self._base}{path}"), {**self._headers, "Content-Type": kind})


async def _feed(arriving: ArrivingBody, body: bytes) -> None:
    await arriving.put(body)
    arriving.end()


def _read(decoder: msgspec.json.Decoder[_ToldT], body: bytes) -> _ToldT:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise AttemptFailed(FailureKind.MALFORMED, "the upstream did not tell of a batch as OpenAI does") from None
