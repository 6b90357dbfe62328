"""From tokens to text that may be shown: whole characters only, and nothing that may begin a stop string."""

from collections.abc import Callable, Sequence

REPLACEMENT = "\ufffd"
MAX_BYTES_OF_A_CHARACTER = 4


class TextStream:
    """Text of one answer, released as soon as it is certain."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: tuple[str, ...]) -> None:
        self._decode = decode
        self._stop = stop
        self._undecoded: list[int] = []
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """Text that became certain with this token; `stopped` is set once a stop string was found."""
        self._undecoded.append(token)
        text = self._decode(self._undecoded)
        if text.endswith(REPLACEMENT) and len(self._undecoded) < MAX_BYTES_OF_A_CHARACTER:
            return ""
        self._undecoded.clear()
        return self._release(text)

    def flush(self) -> str:
        """What is left when the answer ends."""
        text = self._release(self._decode(self._undecoded)) if self._undecoded else ""
        self._undecoded.clear()
        if not self.stopped:
            text, self._held = text + self._held, ""
        return text

    def _release(self, text: str) -> str:
        self._held += text
        found = [at for at in (self._held.find(stop) for stop in self._stop) if at >= 0]
        if found:
            self.stopped = True
            certain, self._held = self._held[: min(found)], ""
            return certain
        keep = max((_overlap(self._held, stop) for stop in self._stop), default=0)
        certain, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return certain


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of text that begins the stop string."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
