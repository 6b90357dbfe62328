"""Chunks that add text and do nothing else: nearly all of a stream, and alike but for their text."""

from __future__ import annotations

import msgspec

from penstock_inference.adapters.providers.openai import chunks as wire

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for bytes that are not of its type."""
_TRIES = 3
"""The first chunk is often another than the rest, with the role beside its text."""
_CONTENT = b'"content"'
_PROBE = "probe"

_read_text = msgspec.json.Decoder(str).decode
_write_text = msgspec.json.Encoder().encode


def text_alone(chunk: wire.Chunk) -> str | None:
    """Return the text that a chunk adds where it does nothing else; None where it does, or adds none."""
    choices = chunk.choices
    if not choices or len(choices) > 1 or chunk.usage is not None or chunk.error:
        return None
    choice = choices[0]
    delta = choice.delta
    if delta is None or choice.finish_reason or choice.index or choice.usage is not None or choice.error:
        return None
    if delta.reasoning_content or delta.reasoning or delta.tool_calls or delta.function_call is not None:
        return None
    if delta.extra_content or delta.reasoning_details or delta.thinking_blocks:
        return None
    return delta.content or None


class TextFrame:
    """The bytes before and after the text in a chunk of text alone, which most servers repeat through an answer.

    Between the same bytes any one JSON string is the text of a chunk that says nothing else, either: so only the
    string needs to be read. Where a server's chunks differ in more (a time, a filling), the frame is learnt anew while
    that helps, and then, once no ``tries`` are left, no more.
    """

    __slots__ = ("_after", "_before", "_start", "_stop", "is_known", "tries")

    def __init__(self) -> None:
        self.is_known = False
        self._before = self._after = b""
        self._start = self._stop = 0
        self.tries = _TRIES

    def take(self, payloads: list[bytes], at: int, texts: list[str]) -> int:
        """Add the texts of the payloads from ``at`` on that fit the frame, and return where the first is that does not."""
        before, after, start, stop = self._before, self._after, self._start, self._stop
        first = at
        try:
            for payload in payloads[at:] if at else payloads:
                if payload[:start] != before or payload[stop:] != after:
                    break
                text = _read_text(payload[start:stop])
                if not text:
                    break
                texts.append(text)
                at += 1
        except UNREADABLE:
            # It is looked at whole, like whatever does not fit, or adds nothing.
            pass
        if at > first:
            self.tries = _TRIES
        return at

    def learn(self, payload: bytes, text: str) -> None:
        """Learn from a payload whose chunk adds ``text`` alone, and which did not fit."""
        self.is_known = False
        if not self.tries:
            return
        self.tries -= 1
        written = _write_text(text)
        start = payload.find(written, payload.find(_CONTENT) + len(_CONTENT))
        if start < 0:
            return
        before, after = payload[:start], payload[start + len(written) :]
        if after and _is_the_text_between(before, after):
            self.is_known = True
            self._before, self._after, self._start, self._stop = before, after, start, -len(after)


def _is_the_text_between(before: bytes, after: bytes) -> bool:
    """Return whether a string between these bytes is a chunk's text, and not something that only looks like it."""
    try:
        return text_alone(wire.CHUNK.decode(b'%b"%b"%b' % (before, _PROBE.encode(), after))) == _PROBE
    except UNREADABLE:
        return False
