"""Lists in pages, each beginning after the last item of the one before."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.administration.registry import Place

_DEFAULT_SIZE = 50
_MAX_SIZE = 500
_SEPARATOR = "|"
_NUL = "\x00"

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    size: int
    after: str = ""
    """Where the page before ended; empty for the first."""

    @classmethod
    def of(cls, page_size: int, page_token: str) -> Page:
        """Return the page that a request asks for.

        Raises:
            InvalidRequest: if the size is negative, or the token none of ours.
        """
        if page_size < 0:
            raise InvalidRequest("page_size must not be negative.", field="page_size")
        try:
            after = base64.b64decode(page_token, altchars=b"-_", validate=True).decode()
        except (binascii.Error, ValueError):
            raise _unknown_token() from None
        if _NUL in after:
            # PostgreSQL's texts cannot hold it.
            raise _unknown_token()
        return cls(min(page_size or _DEFAULT_SIZE, _MAX_SIZE), after)

    def place(self) -> Place | None:
        """Return the end of the page before, in a list by age; None for the first page."""
        if not self.after:
            return None
        moment, _, item_id = self.after.partition(_SEPARATOR)
        try:
            created_at = datetime.fromisoformat(moment)
        except ValueError:
            raise _unknown_token() from None
        if created_at.tzinfo is None:
            raise _unknown_token()
        return Place(created_at, item_id)

    def before_id(self) -> int | None:
        """Return the end of the page before, in a list of the newest first; None for the first page."""
        if not self.after:
            return None
        if not (self.after.isascii() and self.after.isdecimal()) or len(self.after) > len(str(2**62)):
            raise _unknown_token()
        return int(self.after)


@dataclass(frozen=True, slots=True)
class Listing(Generic[ItemT]):
    """A page of items. ``next_token`` is empty on the last one."""

    items: list[ItemT]
    next_token: str = ""


def listing(found: list[ItemT], page: Page, end: Callable[[ItemT], str]) -> Listing[ItemT]:
    """Return the page of up to ``page.size + 1`` found items; ``end`` says what the next one begins after."""
    if len(found) <= page.size:
        return Listing(found)
    items = found[: page.size]
    return Listing(items, token_after(end(items[-1])))


def token_after(end: str) -> str:
    """Return the token of the page that begins after ``end``; empty where that is."""
    return base64.urlsafe_b64encode(end.encode()).decode()


def end_by_age(created_at: datetime, item_id: str) -> str:
    """Return where a page ends, in a list by age."""
    return f"{created_at.isoformat()}{_SEPARATOR}{item_id}"


def _unknown_token() -> InvalidRequest:
    return InvalidRequest("page_token is not one of this list's.", field="page_token")
