"""Text that may hold halves of surrogate pairs: JSON can escape them alone, and UTF-8 cannot hold them."""

from __future__ import annotations

from collections.abc import Hashable

_HIGH_FIRST, _HIGH_LAST = "\ud800", "\udbff"


class Halves:
    """Puts halves together that came in two pieces of one text; a lone one becomes U+FFFD."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[Hashable, str] = {}

    def joined(self, text_of: Hashable, piece: str) -> str:
        """Return what can be said of a text now, ``piece`` being its next; a first half waits for the second."""
        text = self._waiting.pop(text_of, "") + piece
        if text and _HIGH_FIRST <= text[-1] <= _HIGH_LAST:
            self._waiting[text_of] = text[-1]
            text = text[:-1]
        return mended(text)

    def rest(self, text_of: Hashable) -> str:
        """Return what is left of a text at its end: U+FFFD for a half that stayed alone."""
        return mended(self._waiting.pop(text_of, ""))


def mended(text: str) -> str:
    """Return the text with its pairs put together and U+FFFD for each lone half."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
