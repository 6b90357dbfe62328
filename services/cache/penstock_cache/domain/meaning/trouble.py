"""Why nothing is matched by meaning now, for whoever asks."""

from __future__ import annotations

_MOST_CHARACTERS = 200


class Troubles:
    """Remembers the latest failure until looking works again."""

    def __init__(self) -> None:
        self._latest = ""

    @property
    def latest(self) -> str:
        """The failure in words; empty where there is none."""
        return self._latest

    def note(self, error: Exception) -> None:
        """Note a failure."""
        self._latest = str(error)[:_MOST_CHARACTERS] or type(error).__name__

    def clear(self) -> None:
        """Note that it works."""
        self._latest = ""
