"""Serves kept answers to whoever asks for them again: as they are, as events, their requests' items; ends and deletes them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.responses.keeping import Responses
from penstock_gateway.domain.responses.response import Response
from penstock_gateway.surfaces.arrival import Arrival
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE, request_id_line
from penstock_gateway.surfaces.wire_formats.background import Background
from penstock_gateway.surfaces.wire_formats.ended_jobs import EndedJobs
from penstock_gateway.surfaces.wire_formats.format import GenerationFormat
from penstock_gateway.surfaces.wire_formats.routes import Serve
from penstock_gateway.surfaces.wire_formats.stores import names_in, query_of

_NAME = "{response}"
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class KeptAnswers:
    """Serves those of one format, at its path and an answer's id."""

    def __init__(
        self, wire_format: GenerationFormat, responses: Responses, ended: EndedJobs, background: Background
    ) -> None:
        assert wire_format.state is not None, "a format whose answers can be kept"
        self._state = wire_format.state
        self._path = f"{wire_format.path}/{_NAME}"
        self._responses = responses
        self._ended = ended
        self._background = background

    def routes(self) -> Iterator[tuple[str, str, Serve]]:
        """Yield each method and path, and what serves it."""
        yield "GET", self._path, self.get
        yield "DELETE", self._path, self.delete
        yield "POST", f"{self._path}/cancel", self.cancel
        yield "GET", f"{self._path}/input_items", self.input_items

    async def get(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Tell an answer, or its events."""
        looked = self._state.looked_for(query_of(request))
        kept = await self._kept(place, request, self._path)
        if looked.stream:
            lines = request_id_line(arrival.request_id)
            await self._background.stream(place.caller, kept, looked.after, lines, response)
            return
        settled = await self._ended.settled(kept)
        _answer(response, arrival, _with_output(settled) if looked.whole_output else settled.content.body)

    async def delete(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Delete an answer; one that is still being made is ended."""
        caller, name = place.caller, names_in(request, self._path)["response"]
        kept = await self._responses.changeable(caller, name)
        # First: who is refused here has deleted nothing, and who leaves before the next can come again.
        if kept.job:
            await self._background.end(caller, kept)
        await self._responses.delete(caller, name)
        if kept.job:
            await self._background.forget(kept)
        _answer(response, arrival, self._state.deleted(kept.id))

    async def cancel(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """End an answer that is made in the background; one that has ended is told as it is."""
        kept = await self._kept(place, request, f"{self._path}/cancel")
        ended = await self._background.cancel(place.caller, kept)
        _answer(response, arrival, ended.content.body)

    async def input_items(self, arrival: Arrival, place: Place, request: HttpRequest, response: HttpResponse) -> None:
        """Tell a page of what an answer's request has asked itself."""
        kept = await self._kept(place, request, f"{self._path}/input_items")
        items = self._state.input_items(kept.content.items, kept.id)
        _answer(response, arrival, self._state.listed(items, query_of(request)))

    async def _kept(self, place: Place, request: HttpRequest, path: str) -> Response:
        return await self._responses.get(place.caller, names_in(request, path)["response"])


def _with_output(response: Response) -> bytes:
    """Return an answer's body with its output as it is kept; one without an answer is as it is."""
    if not response.status.may_be_followed:
        return response.content.body
    return _encode({**_MEMBERS.decode(response.content.body), "output": msgspec.Raw(response.content.output)})


def _answer(response: HttpResponse, arrival: Arrival, body: bytes) -> None:
    response.whole(200, JSON_LINE + request_id_line(arrival.request_id), body)
