"""What a reviewer has written is looked at by the rules of now."""

from __future__ import annotations

from typing import Protocol

from penstock_gateway.domain.reviews.item import ReviewItem


class Recheck(Protocol):
    """Asks the rules of now about a text that a reviewer has written."""

    async def refused_by(self, item: ReviewItem, text: str) -> str:
        """Return the name of the first rule that would refuse the item's text if it were this one; empty where none would.

        Of an answer, one that would redact or replace does, too: nobody does after this.
        """
        ...


class NoRules:
    """Implements ``Recheck`` where there are no rules."""

    async def refused_by(self, item: ReviewItem, text: str) -> str:
        """Return that none refuses it."""
        return ""
