"""What a copy of the database holds, and why one cannot be made or used."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

Progress = Callable[[str, int], None]
"""Called with a table and how many of its rows are done."""

_FINGERPRINT_DIGITS = 16


class BackupError(Exception):
    """A copy cannot be made or used. The message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """An archive: which schema it has, when it was made, and how many rows of each table it holds."""

    schema: str
    created_at: datetime
    rows: dict[str, int]
    pepper: str = ""
    """The fingerprint of the pepper that its keys need; empty where it was not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore has done."""

    backup: Backup
    schema: str
    """The revision that the database has now."""
    replaced: bool
    """Whether there were rows, which are gone."""


def fingerprint_of(pepper: bytes) -> str:
    """Return what tells a pepper from another without giving it away; the pepper itself is in no archive."""
    return hmac.new(pepper, b"penstock backup", sha256).hexdigest()[:_FINGERPRINT_DIGITS]
