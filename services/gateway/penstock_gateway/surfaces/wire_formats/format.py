"""What a wire format is: how its requests are read, its answers written, and its errors told.

There is one kind for each thing that can be asked for. A kind is served by the
module of its name; what serves it knows no format.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from penstock_common.contract.embedding import EmbedRequest, EmbedResponse
from penstock_common.contract.questions import ModerateResponse, RerankResponse
from penstock_common.errors import PenstockError
from penstock_common.llm.events import Answer
from penstock_common.llm.types import GenerationEvent, GenerationInput, ModelInfo, RequestContext
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.knowledge_use.told import KnowledgeTold
from penstock_gateway.domain.knowledge_use.use import KnowledgeUse
from penstock_gateway.domain.life.order import ModerationInput, RerankInput
from penstock_gateway.domain.prompts.content import PromptReference
from penstock_gateway.domain.usage.looking import UsageReading
from penstock_gateway.surfaces.wire_formats.keeping import KeptAction, StoresAction, StoresCall, StoresSearch


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An HTTP answer to a request that failed; ``headers`` include the content type."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Family:
    """What the formats of one vendor share: the name that metrics and bills give them, and how errors are told."""

    name: str
    error_response: Callable[[PenstockError], ErrorResponse]
    error_event: Callable[[PenstockError], bytes]
    """Returns the frame that ends a stream which failed after its head was sent."""
    request_id_line: Callable[[str], bytes] | None = None
    """Returns the line in which the vendor's SDK looks for the request's id, where that is not ``x-request-id``."""


class AnswerForm(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer is to be written, where a format has more ways than one.

    ``functions``: calls in the form that was there before tools. ``echo``: texts that
    stand before the answers, one for each input, or none. ``input_tokens``: about how many the input has, for formats that
    tell so before the answer.
    """

    functions: bool = False
    echo: tuple[str, ...] = ()
    input_tokens: int = 0
    ended_at: int = 0
    """When it ended, in Unix seconds; 0 for now."""


USUAL_FORM = AnswerForm()


class ResponseState(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of answers that are kept: the one that it goes on from, and its own.

    ``store``: whether its own is to be kept; None: it does not say. ``background``: it is made while nobody waits for it.
    ``items``: the request's own items as a JSON array, a text as the one item that it stands for. ``refers``: some of them
    stand for items of kept answers.
    """

    previous: str = ""
    store: bool | None = None
    background: bool = False
    items: bytes = b"[]"
    refers: bool = False


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for text, read. ``include_usage`` is only true with ``stream``.

    ``prompt`` stands before ``input``. ``knowledge``: what is searched before it is answered. ``more_inputs`` are asked after
    ``input``, each as a request of its own, and answered with it. ``kept``: what it has to do with answers that are kept; None
    where that is nothing.
    """

    input: GenerationInput
    context: RequestContext
    stream: bool
    include_usage: bool
    more_inputs: tuple[GenerationInput, ...] = ()
    form: AnswerForm = USUAL_FORM
    prompt: PromptReference | None = None
    knowledge: KnowledgeUse | None = None
    kept: ResponseState | None = None


class StreamSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream's end tells beyond tokens; ``cache`` is as in the header ``x-penstock-cache``.

    ``dropped``: fields of the request that the upstream was asked without. ``knowledge``: what was found for the answer,
    where knowledge bases were searched. ``ended_at``: Unix seconds; 0 for now.
    """

    overhead_ms: float
    cache: str
    dropped: tuple[str, ...] = ()
    knowledge: KnowledgeTold | None = None
    ended_at: int = 0


class StreamRenderer(Protocol):
    """Renders one stream: ``render`` for each batch of events, then ``end`` once.

    A stream that fails ends with the family's ``error_event`` instead, so that
    no client takes it for complete.
    """

    def render(self, events: Sequence[GenerationEvent]) -> bytes:
        """Return the frames of the next events, b"" where they have none."""
        ...

    def end(self, summary: StreamSummary) -> bytes:
        """Return the last frames."""
        ...


class EventRenderer:
    """Renders a stream whose every frame is counted: a silence, and a failure, are events of its own.

    It is a class, as to ask whether something has a protocol's methods costs a request a hundred calls.
    """

    def render(self, events: Sequence[GenerationEvent]) -> bytes:
        """Return the frames of the next events; see ``StreamRenderer``."""
        raise NotImplementedError

    def end(self, summary: StreamSummary) -> bytes:
        """Return the last frames; see ``StreamRenderer``."""
        raise NotImplementedError

    def queue(self) -> bytes:
        """Return the frames that say, before all others, that the answer waits to be made."""
        raise NotImplementedError

    def silence(self) -> bytes:
        """Return the frames that fill a silence."""
        raise NotImplementedError

    def fail(self, error: PenstockError) -> bytes:
        """Return the frames that end a stream which failed after its head was sent."""
        raise NotImplementedError


def frames_of_failure(renderer: StreamRenderer | None, family: Family, error: PenstockError) -> bytes:
    """Return the frames that end a stream which failed after its head was sent."""
    return renderer.fail(error) if isinstance(renderer, EventRenderer) else family.error_event(error)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """How a request goes on: ``store``: whether its answer is kept. ``items``: all that is asked, where that is not as it stood.

    ``items`` is a JSON array: what was asked and answered before, and the request's own.
    """

    store: bool
    items: bytes | None = None


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """How a kept answer is looked at: as it is, or as the events that follow the one numbered ``after``, -1 for all.

    ``whole_output``: its output with all that a later request needs of it.
    """

    stream: bool = False
    after: int = -1
    whole_output: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFormat:
    """How a format's answers are kept. Each list of items is a JSON array; ids of items are made of the answer's.

    ``snapshot`` writes an answer that is none yet, or none at all: its id, creation, form, status, and error where it failed.
    ``output_items`` are an answer's, with all that a later request needs of them; ``input_items`` a request's, as they are
    listed. ``looked_for`` reads the query of a look at an answer.
    """

    form: type[AnswerForm]
    with_kept: Callable[[ReadRequest, Kept], ReadRequest]
    snapshot: Callable[[str, int, AnswerForm, str, PenstockError | None], bytes]
    output_items: Callable[[Answer, str, AnswerForm], bytes]
    input_items: Callable[[bytes, str], bytes]
    looked_for: Callable[[str], Looked]
    listed: Callable[[bytes, str], bytes]
    """Takes a request's items as they are listed, and the query of the list; returns the page that it asks for."""
    deleted: Callable[[str], bytes]
    """Returns what is answered once the answer of an id is deleted."""
    counted: Callable[[int], bytes]
    """Returns what is answered of so many tokens of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationFormat:
    """Asks for text. ``renderer`` and ``whole`` take the answer's id, its creation in Unix seconds and its form.

    ``renderer`` also takes, before the form, whether the stream ends with its usage. Where there
    are several inputs, their answers come one after another. ``with_knowledge`` adds to a whole answer what was found for it.
    ``with_headers`` adds to a request what its headers say in the format's words.
    """

    family: Family
    path: str
    id_prefix: str
    keep_alive: bytes
    """The frame that fills a silence."""
    parse: Callable[[bytes], ReadRequest]
    renderer: Callable[[str, int, bool, AnswerForm], StreamRenderer]
    whole: Callable[[Sequence[Answer], str, int, AnswerForm], bytes]
    with_knowledge: Callable[[bytes, KnowledgeTold], bytes]
    with_headers: Callable[[ReadRequest, Mapping[str, str]], ReadRequest] | None = None
    state: StateFormat | None = None
    """Where its answers can be kept."""


class ReadEmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for vectors, read; ``render`` writes them as it wants them."""

    input: EmbedRequest
    context: RequestContext
    render: Callable[[EmbedResponse], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingFormat:
    """Asks for vectors."""

    family: Family
    path: str
    parse: Callable[[bytes], ReadEmbeddingRequest]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsFormat:
    """Asks which models there are: all of them at ``path``, one of them at ``path/{id}``.

    Both functions take the Unix seconds that models report as their creation.
    """

    family: Family
    path: str
    render_list: Callable[[Iterable[ModelInfo], int], bytes]
    render_one: Callable[[ModelInfo, int], bytes]
    others: Mapping[str, ModelsFormat] = field(default_factory=dict[str, "ModelsFormat"])
    """Other vendors' answers at the same path, by the header that asks for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingFormat:
    """Asks how many tokens a request for text has."""

    family: Family
    path: str
    parse: Callable[[bytes], GenerationInput]
    render: Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoresFormat:
    """Keeps documents, and finds in them. ``actions`` by method and path: ``GET /v1/vector_stores/{store}``."""

    family: Family
    path: str
    actions: Mapping[str, StoresAction]
    search: StoresSearch
    in_its_words: Callable[[Exception, StoresCall], Exception]
    """Returns the error that tells a caller of the format of an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFormat:
    """Keeps files, and batches that read and write them. ``actions`` by method and path."""

    family: Family
    path: str
    actions: Mapping[str, KeptAction]


UsageAction = Callable[[UsageReading, Actor, str], Awaitable[bytes]]
"""Takes who asks and the query of the request; returns the answer's JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFormat:
    """Asks what was used; ``actions`` by path."""

    family: Family
    path: str
    actions: Mapping[str, UsageAction]


class ReadRerankRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a ranking, read; ``render`` writes it, with the answer's id, as it wants it."""

    input: RerankInput
    context: RequestContext
    render: Callable[[RerankResponse, str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankFormat:
    """Asks how well documents answer a query."""

    family: Family
    path: str
    parse: Callable[[bytes], ReadRerankRequest]


class ReadModerationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for verdicts, read."""

    input: ModerationInput
    context: RequestContext


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationFormat:
    """Asks what is objectionable about contents; ``render`` takes the verdicts and the answer's id."""

    family: Family
    path: str
    parse: Callable[[bytes], ReadModerationRequest]
    render: Callable[[ModerateResponse, str], bytes]


QuestionFormat = RerankFormat | ModerationFormat
OtherFormat = (
    GenerationFormat | CountingFormat | EmbeddingFormat | ModelsFormat | StoresFormat | KeptFormat | UsageFormat
)
Format = QuestionFormat | OtherFormat
