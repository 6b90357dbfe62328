"""Requests for text that go on from answers that are kept, and whose own answers are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from penstock_common.errors import InvalidRequest, PenstockError, ResourceNotFound
from penstock_common.llm.events import Answer
from penstock_common.llm.types import GenerationEvent
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.responses.ids import PREFIX
from penstock_gateway.domain.responses.keeping import Asked, Responses, check_followed
from penstock_gateway.domain.responses.response import Chain, Status
from penstock_gateway.surfaces.http1.messages import FREE_BYTES
from penstock_gateway.surfaces.wire_formats.background import Background, BackgroundParts
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.ended_jobs import EndedJobs
from penstock_gateway.surfaces.wire_formats.format import (
    AnswerForm,
    EventRenderer,
    GenerationFormat,
    Kept,
    ReadRequest,
    ResponseState,
    StreamRenderer,
    StreamSummary,
)
from penstock_gateway.surfaces.wire_formats.item_lists import (
    array_of,
    head_of,
    id_of,
    items_in,
    joined,
    refers,
    size_of,
)
from penstock_gateway.surfaces.wire_formats.stateful_request import StatefulRequest, Told

Whole = Callable[[Sequence[Answer], str, int, AnswerForm], bytes]


class _Shown(msgspec.Struct):
    output: list[msgspec.Raw] = []


_SHOWN = msgspec.json.Decoder(_Shown)


class Keeping(EventRenderer):
    """Writes a stream as another does, and keeps its answer."""

    def __init__(
        self, request: StatefulRequest, renderer: StreamRenderer, known: tuple[str, int], whole: Whole
    ) -> None:
        """``known``: the answer's name, and its creation; ``whole`` writes it as it is where it does not stream."""
        assert isinstance(renderer, EventRenderer), "what is kept is rendered as events"
        self._request = request
        self._renderer = renderer
        self._name, self._created = known
        self._whole = whole
        self._answer = Answer()

    def render(self, events: Sequence[GenerationEvent]) -> bytes:
        """Return the frames of the next events; see the port."""
        self._answer.extend(events)
        return self._renderer.render(events)

    def end(self, summary: StreamSummary) -> bytes:
        """Return the last frames; see the port."""
        return self._renderer.end(summary)

    def queue(self) -> bytes:
        """Return the frames of an answer that waits; see the port."""
        return self._renderer.queue()

    def silence(self) -> bytes:
        """Return the frames that fill a silence; see the port."""
        return self._renderer.silence()

    def fail(self, error: PenstockError) -> bytes:
        """Return the last frames of a stream that failed; see the port."""
        return self._renderer.fail(error)

    async def keep(self) -> None:
        """Keep the answer, which has ended."""
        request, answer = self._request, self._answer
        if request.stores:
            body = self._whole((answer,), request.id_of(self._name), self._created, request.read.form)
            await request.keep(self._name, self._created, Told(answer, body))

    async def keep_failed(self, error: PenstockError) -> None:
        """Keep that there is no answer, of which a part was seen."""
        await self._request.keep_failed(self._name, self._created, error)


class KeptAnswersParts(NamedTuple):
    """What answers are kept in; ``ended`` by the path of the format that they are of."""

    responses: Responses
    ended: Mapping[str, EndedJobs]
    background: BackgroundParts


class StatefulRequests:
    """Begins those of one format; ``ended`` knows how those ended that were made in the background."""

    def __init__(
        self,
        wire_format: GenerationFormat,
        responses: Responses,
        bodies: Bodies,
        ended: EndedJobs,
        background: Background,
    ) -> None:
        assert wire_format.state is not None, "a format whose answers can be kept"
        self.background = background
        """Makes those that nobody waits for."""
        self._format = wire_format.state
        self._responses = responses
        self._bodies = bodies
        self._ended = ended

    async def begun(self, place: Place, read: ReadRequest) -> StatefulRequest:
        """Return a request with all that it goes on from.

        Raises:
            PreviousResponseNotFound: if that is not there.
            ResourceNotFound: if an item is not that it refers to.
            InvalidRequest, ResourceState, UnsupportedParameter: as ``Responses.chain`` and ``Responses.stores``.
        """
        state, caller, responses = read.kept, place.caller, self._responses
        assert state is not None, "it has to do with kept answers"
        stores = responses.stores(caller, state.store)
        if state.background and not stores:
            text = "'background' needs 'store': an answer that nobody waits for must be kept."
            raise InvalidRequest(text, field="background")
        own = await self._resolved(caller, state)
        chain = Chain()
        if state.previous:
            chain = await self._settled(await responses.chain(caller, state.previous, len(own), _holder(place)))
        elif stores:
            responses.check_own(len(own))
        items = joined([*chain.items, own]) if state.previous or state.refers else None
        asked = Asked(name="", created_at=datetime.now(UTC), items=own, tail=chain.tail)
        continued = await self._read(place, read, Kept(store=stores, items=items))
        request = StatefulRequest(caller, continued, (responses, self._format), asked)
        request.stores = stores
        return request

    async def _read(self, place: Place, read: ReadRequest, kept: Kept) -> ReadRequest:
        if kept.items is None:
            return self._format.with_kept(read, kept)
        return await self._bodies.read_again(place, kept.items, lambda _: self._format.with_kept(read, kept))

    async def _settled(self, chain: Chain) -> Chain:
        """Return a chain whose last answer was made in the background, with that."""
        last = chain.last
        if last is None or last.status is not Status.QUEUED:
            return chain
        settled = await self._ended.settled(last)
        check_followed(settled.id, settled.status)
        return Chain((*chain.turns[:-1], settled))

    async def _resolved(self, caller: Caller, state: ResponseState) -> bytes:
        """Return a request's own items, none of which stands for another."""
        if not state.refers:
            return state.items
        items = [(item, refers(item)) for item in items_in(state.items)]
        found = await self._found(caller, dict.fromkeys(name for _, name in items if name))
        stood_for = [found[name] if name else item for item, name in items]
        # Few bytes can stand for many: they are counted before they are there.
        self._responses.check_own(sum(map(size_of, stood_for)))
        return array_of(stood_for)

    async def _found(self, caller: Caller, names: Iterable[str]) -> dict[str, msgspec.Raw]:
        """Return the items of these ids; one response at a time is held."""
        found: dict[str, msgspec.Raw] = {}
        of_response: dict[str, list[str]] = {}
        for name in names:
            of_response.setdefault(PREFIX + name.partition("_")[2].partition("_")[0], []).append(name)
        size = 0
        for response_id, wanted in of_response.items():
            kept = await self._items_of(caller, response_id)
            for name in wanted:
                if name not in kept:
                    raise no_item(name)
                size += size_of(kept[name])
                self._responses.check_own(size)
                # A copy: an item as it was read holds its whole response.
                found[name] = kept[name].copy()
        return found

    async def _items_of(self, caller: Caller, response_id: str) -> dict[str, msgspec.Raw]:
        try:
            response = await self._ended.settled(await self._responses.get(caller, response_id))
        except ResourceNotFound:
            return {}
        listed = self._format.input_items(response.content.items, response.id)
        shown = _SHOWN.decode(response.content.body).output
        kept = {id_of(item): item for item in (*shown, *items_in(listed))}
        for item in items_in(response.content.output):
            # What is kept says more than what was shown, and may count otherwise.
            if head_of(item) == head_of(kept.get(id_of(item), item)):
                kept[id_of(item)] = item
        return kept


def _holder(place: Place) -> Callable[[int], None]:
    """Return what holds the bytes of a chain besides the request's own; those of a small one are free, as a small body's are."""

    def hold(size_bytes: int) -> None:
        if size_bytes > FREE_BYTES:
            place.hold(place.held_bytes + size_bytes)

    return hold


def no_item(item_id: str) -> ResourceNotFound:
    """Return the error of an item that is not kept, or not the asker's."""
    text = f"Item with id '{item_id[:96]}' not found. Items are kept with the response that they are of, if 'store' is true."
    return ResourceNotFound(text, kind="item", name=item_id[:96])
