"""Renders an answer as the events of the Responses API.

``response.created`` and ``response.in_progress``, then each item's events (``output``), then one of ``response.completed``,
``response.incomplete`` and ``response.failed``, and ``[DONE]``, which Open Responses wants. ``sequence_number`` counts every event
without a gap, those of silences among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock_common.errors import PenstockError
from penstock_common.llm.types import Finished, GenerationEvent, Started, TextDelta, Usage
from penstock_gateway.surfaces.wire_formats.beside import with_unread
from penstock_gateway.surfaces.wire_formats.extension import extension_json
from penstock_gateway.surfaces.wire_formats.format import AnswerForm, EventRenderer, StreamSummary
from penstock_gateway.surfaces.wire_formats.openai.responses.errors import failure_of
from penstock_gateway.surfaces.wire_formats.openai.responses.form import ResponseForm
from penstock_gateway.surfaces.wire_formats.openai.responses.items import FORMAT
from penstock_gateway.surfaces.wire_formats.openai.responses.output import Output
from penstock_gateway.surfaces.wire_formats.openai.responses.response import ID_PREFIX, ended, is_complete, snapshot
from penstock_gateway.surfaces.wire_formats.openai.responses.response_wire import Response
from penstock_gateway.surfaces.wire_formats.sse import on_one_line

_encode = msgspec.json.Encoder().encode
_DONE = b"data: [DONE]\n\n"
_TEXT_NAME = b"event: response.output_text.delta\ndata: "


class ResponseRenderer(EventRenderer):
    """Renders one stream; see ``EventRenderer``."""

    def __init__(self, response_id: str, created: int, include_usage: bool, form: AnswerForm) -> None:
        del include_usage
        assert isinstance(form, ResponseForm), "a form of this format's"
        self._id = response_id
        self._created = created
        self._form = form
        self._number = 0
        self._model: str | None = None
        self._is_created = False
        self._pieces: list[bytes] = []
        self._output = Output(response_id.removeprefix(ID_PREFIX), form, self._tell)
        # The part of a text that is open, and what stands before its pieces.
        self._part: dict[str, Any] | None = None
        self._text_head = b""
        self._usage: Usage | None = None
        self._finished: Finished | None = None

    def render(self, events: Sequence[GenerationEvent]) -> bytes:
        """Return the frames of the next events, b"" where they have none."""
        pieces, output = self._pieces, self._output
        for event in events:
            if type(event) is TextDelta and not (event.logprobs_json or event.is_refusal or event.citations_json):
                if (text := output.open_text) is None:
                    output.add(event)
                    continue
                place, before = text
                before.append(event.text)
                if place is not self._part:
                    self._begin_text(place)
                pieces.append(
                    b'%b%b,"logprobs":[],"sequence_number":%d}\n\n'
                    % (self._text_head, _encode(event.text), self._number)
                )
                self._number += 1
            elif isinstance(event, Started):
                self._begin(event.answered_by.model)
            elif isinstance(event, Usage):
                self._usage = event
            elif isinstance(event, Finished):
                self._finished = event
                output.end(is_whole=is_complete(event))
            else:
                output.add(event)
        return self._frames()

    def end(self, summary: StreamSummary) -> bytes:
        """Return the last frames: the whole response, and beside it what is Penstock's own to tell."""
        finished = self._finished
        assert finished is not None, "an answer that has ended"
        form = self._form if not summary.ended_at else msgspec.structs.replace(self._form, ended_at=summary.ended_at)
        response = ended(self._told, form, finished, self._usage, self._output.items)
        ours = msgspec.Raw(extension_json(finished, summary))
        told = response if finished.unread is None else msgspec.Raw(with_unread(_encode(response), finished, FORMAT))
        self._tell(response.status, {"response": told, "x_penstock": ours})
        return self._frames() + _DONE

    def queue(self) -> bytes:
        """Return the frames that say, before all others, that the answer waits to be made."""
        response = snapshot((self._id, self._created, self._form.model), self._form, "queued")
        self._tell("created", {"response": response})
        self._tell("queued", {"response": response})
        self._is_created = True
        return self._frames()

    def silence(self) -> bytes:
        """Return the frames that fill a silence: clients wait for events, and take comments for none."""
        if self._model is None:
            self._begin("")
        else:
            self._tell("in_progress", {"response": self._so_far()})
        return self._frames()

    def fail(self, error: PenstockError) -> bytes:
        """Return the frames that end a stream which failed: what is open ended, the error, and a response that says so."""
        if self._model is None:
            self._begin("")
        if self._finished is None:
            self._output.end(is_whole=False)
        failure = failure_of(error)
        flat = {"code": failure["code"], "message": failure["message"], "param": failure["param"]}
        self._frame("error", {**flat, "error": failure})
        told = {"code": failure["code"], "message": failure["message"]}
        items = self._output.items
        self._tell("failed", {"response": snapshot(self._told, self._form, "failed", error=told, output=items)})
        return self._frames() + _DONE

    @property
    def _told(self) -> tuple[str, int, str]:
        return self._id, self._created, self._model or ""

    def _so_far(self) -> Response:
        return snapshot(self._told, self._form, "in_progress")

    def _begin(self, model: str) -> None:
        """Tell that it has begun, once; who answers later stands in the headers."""
        if self._model is not None:
            return
        self._model = model or self._form.model
        response = self._so_far()
        if not self._is_created:
            self._tell("created", {"response": response})
        self._tell("in_progress", {"response": response})

    def _begin_text(self, place: dict[str, Any]) -> None:
        self._part = place
        head = _encode({"type": "response.output_text.delta", **place})[:-1]
        self._text_head = b'%b%b,"delta":' % (_TEXT_NAME, head)

    def _tell(self, kind: str, members: dict[str, Any]) -> None:
        self._frame(f"response.{kind}", members)

    def _frame(self, kind: str, members: dict[str, Any]) -> None:
        told = _encode({"type": kind, **members, "sequence_number": self._number})
        self._number += 1
        self._pieces.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), told))

    def _frames(self) -> bytes:
        frames = on_one_line(b"".join(self._pieces))
        self._pieces.clear()
        return frames
