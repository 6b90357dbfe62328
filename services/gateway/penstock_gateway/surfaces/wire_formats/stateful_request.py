"""One request that goes on from answers that are kept, or whose own is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import structlog

from penstock_common.errors import PenstockError
from penstock_common.llm.events import Answer
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.responses.keeping import Asked, Responses
from penstock_gateway.domain.responses.response import Content, Response, Status
from penstock_gateway.surfaces.wire_formats.format import ReadRequest, StateFormat

_log = structlog.get_logger(__name__)


class _Ended(msgspec.Struct):
    status: str = Status.COMPLETED.value


_ENDED = msgspec.json.Decoder(_Ended)


def status_of(body: bytes) -> Status:
    """Return how an answer ended, as it says itself."""
    return Status(_ENDED.decode(body).status)


class Told(NamedTuple):
    """An answer as its caller is told it."""

    answer: Answer
    body: bytes


class StatefulRequest:
    """One request: what it asks in all, and what becomes of its answer."""

    def __init__(self, caller: Caller, read: ReadRequest, terms: tuple[Responses, StateFormat], asked: Asked) -> None:
        self.read = read
        """With all that it goes on from."""
        self.stores = False
        self.asked = asked
        self._caller = caller
        self._responses, self._format = terms

    def id_of(self, name: str) -> str:
        """Return the id of its answer; ``name`` is hexadecimal, and no other answer's."""
        return self._responses.ids.of(self._caller.tenant.name, name)

    def response(self, name: str, created: int, status: Status, content: Content) -> Response:
        """Return its answer as it is kept."""
        asked = msgspec.structs.replace(self.asked, name=name, created_at=datetime.fromtimestamp(created, UTC))
        return self._responses.new(self._caller, asked, status, content)

    async def keep(self, name: str, created: int, told: Told) -> bool:
        """Keep its answer, if it is to be kept; return False where it should be and cannot."""
        if not self.stores:
            return True
        answer_id = self.id_of(name)
        try:
            output = self._format.output_items(told.answer, answer_id, self.read.form)
            content = Content(items=self.asked.items, output=output, body=told.body)
            await self._responses.store.keep(self.response(name, created, status_of(told.body), content))
        except Exception as error:  # noqa: BLE001 - it was given, and is settled; who goes on from it hears that it is not there
            _log.warning("response_not_kept", response=answer_id, exc_info=error)
            return False
        return True

    async def keep_failed(self, name: str, created: int, error: PenstockError) -> None:
        """Keep that its answer failed, of which the caller has seen a part."""
        body = self._format.snapshot(self.id_of(name), created, self.read.form, Status.FAILED.value, error)
        await self.keep(name, created, Told(Answer(), body))
