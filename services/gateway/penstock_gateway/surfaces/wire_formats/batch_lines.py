"""Reads and answers the lines of batches as their endpoints do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from penstock_common.contract.embedding import EmbedRequest
from penstock_common.errors import InternalError, InvalidRequest, PenstockError
from penstock_common.llm.types import RequestContext
from penstock_common.status import error_of_reason
from penstock_gateway.domain.batches.lines import MAX_MODEL, may_be_kept
from penstock_gateway.domain.batches.ports import LineOrder, LineResult, Names, Told
from penstock_gateway.domain.jobs.job import Job, JobError, JobKind
from penstock_gateway.domain.jobs.orders import AnyOrder
from penstock_gateway.domain.jobs.results import AnyResult, ChatResult, EmbeddingResult
from penstock_gateway.domain.life.order import ChatOrder, EmbeddingOrder
from penstock_gateway.surfaces.wire_formats.anthropic.batches import line_result as anthropic_result
from penstock_gateway.surfaces.wire_formats.anthropic.errors import ANTHROPIC
from penstock_gateway.surfaces.wire_formats.body_bounds import BodyBounds
from penstock_gateway.surfaces.wire_formats.format import EmbeddingFormat, Family, GenerationFormat, ReadRequest
from penstock_gateway.surfaces.wire_formats.openai.batches import line_result as openai_result
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI
from penstock_gateway.surfaces.wire_formats.table import FORMATS

_ENDPOINTS: Mapping[str, GenerationFormat | EmbeddingFormat] = {
    one.path: one for one in FORMATS if isinstance(one, GenerationFormat | EmbeddingFormat)
}
_RESULTS: Mapping[str, Callable[[LineResult], bytes]] = {
    OPENAI.name: openai_result.render,
    ANTHROPIC.name: anthropic_result.render,
}


class WireLineFormats:
    """Implements ``LineFormats``, by the table of wire formats."""

    endpoints = tuple(_ENDPOINTS)

    def __init__(self, bounds: BodyBounds) -> None:
        self._bounds = bounds

    def read(self, endpoint: str, body: bytes) -> LineOrder:
        """Return what a line asks; see the port."""
        self._bounds.check(body)
        wire_format = _ENDPOINTS[endpoint]
        if isinstance(wire_format, EmbeddingFormat):
            read = wire_format.parse(body)
            _check_model(read.input.model)
            order = _embedding_order(wire_format.family, read.input, read.context)
            return LineOrder(JobKind.EMBEDDING, read.input.model, order)
        asked = _read(wire_format, body)
        _check_model(asked.input.model)
        return LineOrder(JobKind.CHAT, asked.input.model, _chat_order(wire_format.family, asked))

    def answer(self, endpoint: str, body: bytes, job: Job, result: AnyResult) -> bytes:
        """Return what its endpoint would have answered; see the port."""
        wire_format = _ENDPOINTS[endpoint]
        if isinstance(wire_format, EmbeddingFormat) and isinstance(result, EmbeddingResult):
            return wire_format.parse(body).render(result.embedded)
        if not isinstance(wire_format, GenerationFormat) or not isinstance(result, ChatResult):
            raise InternalError
        answer_id = wire_format.id_prefix + result.generation_id
        created = int((job.started_at or job.created_at).timestamp())
        told = wire_format.whole((result.answer,), answer_id, created, _read(wire_format, body).form)
        return told if result.knowledge is None else wire_format.with_knowledge(told, result.knowledge)

    def result(self, surface: str, result: LineResult) -> bytes:
        """Return how a file of results tells what came of a line; see the port."""
        return _RESULTS[surface](result)

    def has_error_file(self, surface: str) -> bool:
        """Return whether what failed is in a file of its own; see the port."""
        return surface == OPENAI.name

    def refusal(self, endpoint: str, error: PenstockError) -> Told:
        """Return how its endpoint tells of an error; see the port."""
        response = _ENDPOINTS[endpoint].family.error_response(error)
        return Told(response.status, response.body)

    def error_of(self, error: JobError) -> PenstockError:
        """Return what a job failed by; see the port."""
        return error_of_reason(error.reason, error.message)


def _check_model(model: str) -> None:
    if not may_be_kept(model):
        text = f"'model' must have {MAX_MODEL} characters at most in a batch, and no U+0000."
        raise InvalidRequest(text, field="model")


def _read(wire_format: GenerationFormat, body: bytes) -> ReadRequest:
    read = wire_format.parse(body)
    if read.stream:
        raise InvalidRequest("'stream' must not be true in a batch.", field="stream")
    if read.kept is not None and (read.kept.previous or read.kept.refers or read.kept.background):
        text = "A line of a batch goes on from no response, and is none in the background: send its whole input."
        raise InvalidRequest(text, field="previous_response_id")
    if read.more_inputs:
        raise InvalidRequest("'prompt' must be one text in a batch: give each a line of its own.", field="prompt")
    return read


def _chat_order(family: Family, read: ReadRequest) -> Callable[[Names], AnyOrder]:
    def order(names: Names) -> AnyOrder:
        return ChatOrder(
            **_named(names),
            surface=family.name,
            context=read.context,
            input=read.input,
            whole=True,
            prompt=read.prompt,
            knowledge=read.knowledge,
        )

    return order


def _embedding_order(family: Family, asked: EmbedRequest, context: RequestContext) -> Callable[[Names], AnyOrder]:
    def order(names: Names) -> AnyOrder:
        return EmbeddingOrder(**_named(names), surface=family.name, context=context, input=asked)

    return order


_named = msgspec.structs.asdict
