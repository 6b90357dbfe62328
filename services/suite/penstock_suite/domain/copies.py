"""What `penstock backup` and `penstock restore` have done."""

from __future__ import annotations

from datetime import datetime

import msgspec


class BackedUp(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that is complete and on the disk."""

    file: str
    bytes: int
    schema: str
    """The revision of the schema that it holds."""
    created_at: datetime
    """The moment that it shows."""
    rows: dict[str, int]
    """By table."""
    seconds: float


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A database that holds what the archive held."""

    file: str
    created_at: datetime
    schema: str
    """The revision of the schema that the database has now."""
    archived_schema: str
    rows: dict[str, int]
    replaced: bool
    """Whether there were rows, which are gone."""
    keys_fit: bool | None
    """Whether the pepper here is the one that the keys need; None where either is unknown."""
    seconds: float
