"""What a stack's cache runs with, in the words of `penstock up` and `penstock status`."""

from __future__ import annotations

import msgspec


class CacheFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How the cache matches, who keeps its vectors, and who makes them."""

    mode: str
    """off, exact or semantic."""
    engine: str = ""
    """Of a semantic cache: the Qdrant."""
    model: str = ""
    """Of a semantic cache: the embedding model, with @REVISION as soon as it is loaded."""
    remark: str = ""
    """Why it is no other mode, where nobody chose it."""

    @property
    def told(self) -> str:
        """All of it in a line."""
        if self.mode == "semantic":
            return f"semantic: {self.engine}, vectors by {self.model}"
        return f"{self.mode}: {self.remark}" if self.remark else self.mode
