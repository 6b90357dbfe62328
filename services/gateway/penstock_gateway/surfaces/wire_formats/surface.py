"""The wire formats as a handler of HTTP requests: who may ask, who serves, and what is told to whom nobody serves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from penstock_common.errors import InternalError, InvalidRequest, PenstockError, ServiceUnavailable
from penstock_gateway.domain.batches.desk import BatchDesk
from penstock_gateway.domain.life.chat import ChatLife
from penstock_gateway.domain.life.door import Place
from penstock_gateway.domain.life.embeddings import EmbeddingLife
from penstock_gateway.domain.life.exchange import Observer
from penstock_gateway.domain.life.questions import QuestionLife
from penstock_gateway.domain.life.relaying import RelayLife
from penstock_gateway.domain.models import ModelDirectory
from penstock_gateway.domain.usage.looking import UsageReading
from penstock_gateway.surfaces.arrival import Arrival, Reception
from penstock_gateway.surfaces.http1.lines import header_lines
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats import passthrough
from penstock_gateway.surfaces.wire_formats.answer_head import request_id_line
from penstock_gateway.surfaces.wire_formats.background import Background
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.compaction import CompactionServer
from penstock_gateway.surfaces.wire_formats.counting import CountingServer
from penstock_gateway.surfaces.wire_formats.deferred import DeferringParts
from penstock_gateway.surfaces.wire_formats.embedding import EmbeddingServer
from penstock_gateway.surfaces.wire_formats.event_stream import Silences, StreamTiming
from penstock_gateway.surfaces.wire_formats.format import (
    CountingFormat,
    EmbeddingFormat,
    Family,
    GenerationFormat,
    KeptFormat,
    OtherFormat,
    QuestionFormat,
    RerankFormat,
    StoresFormat,
    UsageFormat,
)
from penstock_gateway.surfaces.wire_formats.generation import GenerationServer
from penstock_gateway.surfaces.wire_formats.idempotency import IdempotentRoutes
from penstock_gateway.surfaces.wire_formats.json_body import shortened
from penstock_gateway.surfaces.wire_formats.keeping import KeptParts
from penstock_gateway.surfaces.wire_formats.kept import KeptServer
from penstock_gateway.surfaces.wire_formats.kept_answers import KeptAnswers
from penstock_gateway.surfaces.wire_formats.models import ModelsServer
from penstock_gateway.surfaces.wire_formats.questions import ModerationServer, RerankServer
from penstock_gateway.surfaces.wire_formats.refusals import id_lines, refuse
from penstock_gateway.surfaces.wire_formats.routes import Found, Routes
from penstock_gateway.surfaces.wire_formats.stateful import KeptAnswersParts, StatefulRequests
from penstock_gateway.surfaces.wire_formats.stateful_counting import StatefulCounting
from penstock_gateway.surfaces.wire_formats.stores import StoresParts, StoresServer
from penstock_gateway.surfaces.wire_formats.table import DEFAULT_FAMILY, FORMATS
from penstock_gateway.surfaces.wire_formats.usage import UsageServer

_OWN_FAULTS = {500: InternalError, 503: ServiceUnavailable}


def listed(paths: Iterable[str]) -> str:
    """Return the paths as they stand in a sentence."""
    *most, last = paths
    return f"{', '.join(most)} and {last}"


@dataclass(frozen=True, slots=True)
class WireFormatsParts:
    """What the surface stands on."""

    reception: Reception
    bodies: Bodies
    life: ChatLife
    embeddings: EmbeddingLife
    questions: QuestionLife
    relays: RelayLife
    models: ModelDirectory
    stores: StoresParts
    desk: BatchDesk
    kept: KeptAnswersParts
    usage: UsageReading
    observer: Observer
    idempotency: IdempotentRoutes
    deferring: DeferringParts
    timing: StreamTiming
    started_at: int
    """Unix seconds; what models report as their creation."""


class WireFormats:
    """Serves what is in the table of formats; all else is 404."""

    def __init__(self, parts: WireFormatsParts) -> None:
        self._parts = parts
        self._silences = Silences(parts.timing)
        self._routes = Routes()
        for wire_format in FORMATS:
            if isinstance(wire_format, QuestionFormat):
                self._add_question(wire_format)
            else:
                self._add(wire_format)
        raw = passthrough.PassthroughServer(parts.reception, parts.relays)
        for method in passthrough.METHODS:
            self._routes.add(method, f"{passthrough.PREFIX}/{{id}}", passthrough.FAMILY, raw.serve)
        self._known_paths = listed(wire_format.path for wire_format in FORMATS)

    async def handle(self, request: HttpRequest, response: HttpResponse) -> None:
        """Serve one request; every failure is told in its format."""
        parts = self._parts
        found = self._routes.by_path.get(request.path) or self._routes.find(request.path)
        route = None if found is None else found.route
        family = DEFAULT_FAMILY if route is None else route.family
        arrival = parts.reception.receive(family.name, request.headers, request.peer)
        if route is not None and request.method not in route.methods:
            route = route.of(request.method)
        if found is None or route is None:
            self._turn_away(request, response, found, arrival.request_id)
            return
        request.path, request.deployment = found.path, found.deployment
        place: Place | None = None
        try:
            caller = await parts.reception.authorise(arrival, route.policy)
            place = parts.reception.enter(arrival, caller)
            await route.serve(arrival, place, request, response)
        except Exception as error:  # noqa: BLE001 - the rim: whatever it is becomes an answer
            self._refuse(response, family, error, arrival)
            if place is not None and isinstance(error, PenstockError):
                place.note_refusal(error)
        finally:
            if place is not None and place.is_inside:
                place.leave()

    def refusal(self, status: int, message: str) -> tuple[bytes, bytes]:
        """Return the header lines and the body that tell why a request cannot be handled, or could not."""
        error = _OWN_FAULTS.get(status, InvalidRequest)(message)
        return _error(DEFAULT_FAMILY, error, request_id_line(self._parts.reception.new_request_id()))

    def _refuse(self, response: HttpResponse, family: Family, error: Exception, arrival: Arrival) -> None:
        # Not where the error was caught: it knows that frame, and would live on with all that it holds, large bodies too.
        lines = request_id_line(arrival.request_id) + id_lines(family, arrival.request_id)
        told = refuse(response, family, error, lines)
        self._parts.observer.turned_away(family.name, told)

    def _turn_away(self, request: HttpRequest, response: HttpResponse, found: Found | None, request_id: str) -> None:
        id_line = request_id_line(request_id)
        if found is None:
            nearest = self._routes.nearest(request.path)
            hint = f"Did you mean {nearest}?" if nearest else f"See {self._known_paths}."
            message = f"Unknown request URL: {request.method} {shortened(request.path)}. {hint}"
            response.whole(404, *_error(DEFAULT_FAMILY, InvalidRequest(message), id_line))
        else:
            route, allowed = found.route, found.route.allowed
            lines = b"allow: %b\r\n%b" % (", ".join(allowed).encode(), id_line)
            usable = " or ".join(method for method in allowed if method != "HEAD")
            status, message = 405, f"Not allowed. Use {usable}."
            if request.headers.get("upgrade", "").lower() == "websocket":
                # Agents that try a socket first go on over HTTP when they see this.
                status, message = 426, f'WebSocket is not served here. Use {usable} with "stream": true.'
            response.whole(status, *_error(route.family, InvalidRequest(message), lines))

    def _kept(self, wire_format: GenerationFormat) -> StatefulRequests:
        """Return what keeps a format's answers, once the routes are there by which they are asked for again."""
        parts, (responses, by_path, running) = self._parts, self._parts.kept
        ended = by_path[wire_format.path]
        background = Background(wire_format, parts.reception, running, (responses, ended), self._silences)
        for method, template, serve in KeptAnswers(wire_format, responses, ended, background).routes():
            once = serve if method == "GET" else parts.idempotency.around(serve)
            self._routes.add(method, template, wire_format.family, once)
        stateful = StatefulRequests(wire_format, responses, parts.bodies, ended, background)
        counting = StatefulCounting(wire_format, stateful, parts.models, parts.bodies)
        once = parts.idempotency.around(counting.serve)
        self._routes.add("POST", f"{wire_format.path}/input_tokens", wire_format.family, once)
        compaction = CompactionServer(wire_format.path, parts.models, parts.bodies)
        self._routes.add("POST", f"{wire_format.path}/compact", wire_format.family, compaction.serve)
        return stateful

    def _add_question(self, wire_format: QuestionFormat) -> None:
        parts = self._parts
        if isinstance(wire_format, RerankFormat):
            serve = RerankServer(wire_format, parts.reception, parts.questions, parts.bodies).serve
        else:
            serve = ModerationServer(wire_format, parts.reception, parts.questions, parts.bodies).serve
        self._routes.add("POST", wire_format.path, wire_format.family, parts.idempotency.around(serve))

    def _add(self, wire_format: OtherFormat) -> None:
        parts, routes, family, path = self._parts, self._routes, wire_format.family, wire_format.path
        once = parts.idempotency.around
        if isinstance(wire_format, GenerationFormat):
            reading = parts.bodies, self._silences
            kept = None if wire_format.state is None else self._kept(wire_format)
            generation = GenerationServer(wire_format, parts.reception, (parts.life, kept), reading, parts.deferring)
            routes.add("POST", path, family, generation.serve)
        elif isinstance(wire_format, CountingFormat):
            routes.add("POST", path, family, once(CountingServer(wire_format, parts.models, parts.bodies).serve))
        elif isinstance(wire_format, EmbeddingFormat):
            embedding = EmbeddingServer(wire_format, parts.reception, parts.embeddings, parts.bodies, parts.deferring)
            routes.add("POST", path, family, embedding.serve)
        elif isinstance(wire_format, StoresFormat):
            stores = StoresServer(wire_format, parts.stores, parts.reception, parts.bodies)
            for method, template, serve in stores.routes():
                routes.add(method, template, family, serve if method == "GET" else once(serve))
        elif isinstance(wire_format, KeptFormat):
            kept = KeptServer(wire_format, KeptParts(parts.desk, parts.stores.stores), parts.bodies)
            for method, template, serve in kept.routes(once):
                routes.add(method, template, family, serve)
        elif isinstance(wire_format, UsageFormat):
            usage = UsageServer(wire_format, parts.usage, parts.reception)
            for template, serve in usage.routes():
                routes.add("GET", template, family, serve)
        else:
            models = ModelsServer(wire_format, parts.models, parts.started_at)
            routes.add("GET", path, family, models.serve_list)
            routes.add("GET", f"{path}/{{id}}", family, models.serve_one)


def _error(family: Family, error: PenstockError, lines: bytes) -> tuple[bytes, bytes]:
    rendered = family.error_response(error)
    return header_lines(rendered.headers) + lines, rendered.body
