"""What every weapon can."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol


class Weapon(Protocol):
    """Made once for an attack, and used by many attackers at a time."""

    holds_on: ClassVar[bool]
    """Whether an exchange is meant to last, so that nobody waits for its end."""

    async def strike(self, key: str) -> Iterable[str]:
        """Carry out one exchange, and return what was seen: mostly one word."""
        ...

    async def aclose(self) -> None:
        """Let go what is held."""
        ...
