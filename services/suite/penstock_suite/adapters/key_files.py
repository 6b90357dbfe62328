"""Secrets that the suite makes for itself: files that nobody else may read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_SECRET_BYTES = 32


def ensure_key_file(path: Path, make: Callable[[], str]) -> str:
    """Return what the file holds; if there is none, make it, with mode 0600."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(make() + "\n")
    return path.read_text(encoding="utf-8").strip()


def random_secret() -> str:
    """Return 32 random bytes as text, which survives a reader that strips white space."""
    return secrets.token_hex(_SECRET_BYTES)
