"""From the responses of a decoupled Triton stream to our events."""

from __future__ import annotations

import codecs
import struct
from typing import Any

from penstock_common.llm.types import FinishReason, TextDelta, Usage
from penstock_inference.adapters.providers.triton.errors import failure_of_message
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, UpstreamEvent

MAX_ANSWER_CHARACTERS = 32 * 1024 * 1024

_FINISH_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}
_UTF8 = codecs.getincrementaldecoder("utf-8")
_UINT32 = struct.Struct("<I")


class TensorStream:
    """Reads one stream's responses; counts tokens where the backend tells them."""

    def __init__(self) -> None:
        # A token may end within a character.
        self._decoder = _UTF8("replace")
        self._characters = 0
        self._input_tokens = 0
        self._cached_input_tokens = 0
        self._output_tokens = 0
        self._counted = False
        self._tells_finish_reason = False
        self._finish_reason = ""

    def read(self, response: Any) -> list[UpstreamEvent]:
        """Return the content of one ``ModelStreamInferResponse``.

        Raises:
            AttemptFailed: if it carries an error, or more than an answer can hold.
        """
        if response.error_message:
            raise failure_of_message(response.error_message)
        text = ""
        result = response.infer_response
        for output, raw in zip(result.outputs, result.raw_output_contents, strict=False):
            if output.name == "text_output":
                text = self._decoder.decode(_first_element(raw))
            else:
                self._note(output.name, raw)
        self._characters += len(text)
        if self._characters > MAX_ANSWER_CHARACTERS:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold")
        return [TextDelta(text=text)] if text else []

    def _note(self, name: str, raw: bytes) -> None:
        if name == "finish_reason":
            self._tells_finish_reason = True
            self._finish_reason = _first_element(raw).decode(errors="replace") or self._finish_reason
        elif name == "num_input_tokens":
            self._input_tokens = _number(raw) or self._input_tokens
        elif name == "num_cached_input_tokens":
            # Not in the vLLM backend's contract: read where a backend sends it, never asked for.
            self._cached_input_tokens = _number(raw) or self._cached_input_tokens
        elif name == "num_output_tokens":
            self._counted = True
            self._output_tokens += _number(raw)

    def end(self) -> list[UpstreamEvent]:
        """Return what a clean end of the stream means; older backends tell neither usage nor reason.

        Raises:
            AttemptFailed: CUT if the backend tells the reason and has not.
        """
        events: list[UpstreamEvent] = []
        rest = self._decoder.decode(b"", final=True)
        if rest:
            events.append(TextDelta(text=rest))
        if self._counted:
            events.append(
                Usage(
                    input_tokens=self._input_tokens,
                    output_tokens=self._output_tokens,
                    cached_input_tokens=self._cached_input_tokens,
                )
            )
        if not self._tells_finish_reason:
            events.append(Stopped(FinishReason.STOP))
            return events
        reason = _FINISH_REASONS.get(self._finish_reason)
        if reason is None:
            detail = f"the upstream broke off with finish reason {self._finish_reason[:40]!r}"
            raise AttemptFailed(FailureKind.CUT, detail)
        events.append(Stopped(reason))
        return events


def _first_element(raw: bytes) -> bytes:
    """Return the first element of a BYTES tensor; empty where there is none.

    Raises:
        AttemptFailed: if the element is cut.
    """
    if len(raw) < _UINT32.size:
        return b""
    (length,) = _UINT32.unpack_from(raw)
    if len(raw) < _UINT32.size + length:
        raise AttemptFailed(FailureKind.MALFORMED, "the upstream sent a malformed tensor")
    return raw[_UINT32.size : _UINT32.size + length]


def _number(raw: bytes) -> int:
    return _UINT32.unpack_from(raw)[0] if len(raw) >= _UINT32.size else 0
