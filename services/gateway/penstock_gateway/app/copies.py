"""Copies of the database, for the command line."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from penstock_common.configuration import ConfigurationError
from penstock_common.key_material import read_key_material
from penstock_common.sql import backup as copies
from penstock_common.sql.archive import Backup
from penstock_common.sql.backup import Progress, Restored
from penstock_gateway.adapters.sql.schema import SCHEMAS
from penstock_gateway.settings import StorageSettings

_FINGERPRINT_DIGITS = 16


async def back_up(settings: StorageSettings, path: Path, progress: Progress) -> Backup:
    """Write the database, as it is at one moment, to ``path``; what uses it goes on.

    Raises:
        BackupError: if it cannot be copied.
    """
    return await copies.back_up(settings.sql, path, progress, SCHEMAS, pepper=_fingerprint(settings))


@dataclass(frozen=True, slots=True)
class Filled:
    """A database after a restore; ``keys_fit`` says whether the pepper here is the one of its keys, None if unknown."""

    restored: Restored
    keys_fit: bool | None


async def restore(settings: StorageSettings, path: Path, progress: Progress, *, replace: bool) -> Filled:
    """Fill the database from the archive at ``path``; without ``replace`` it must have no rows.

    Raises:
        BackupError: if the archive or the database cannot be used; then nothing has changed.
    """
    restored = await copies.restore(settings.sql, path, progress, SCHEMAS, replace=replace)
    here, there = _fingerprint(settings), restored.backup.pepper
    return Filled(restored, here == there if here and there else None)


def _fingerprint(settings: StorageSettings) -> str:
    try:
        pepper = read_key_material(settings.secrets.key_pepper_file, "secrets.key_pepper_file")
    except ConfigurationError:
        # Copying needs no pepper, and a machine that makes backups is better off without one.
        return ""
    return fingerprint_of(pepper)


def fingerprint_of(pepper: bytes) -> str:
    """Return what tells a pepper from another without giving it away; the pepper itself is in no archive."""
    return hmac.new(pepper, b"penstock backup", sha256).hexdigest()[:_FINGERPRINT_DIGITS]
