"""Secrets that live in files."""

from __future__ import annotations

from pathlib import Path

from penstock_common.configuration import ConfigurationError
from penstock_common.file_contents import file_contents

MIN_BYTES = 32


def read_key_material(path: Path | None, setting: str) -> bytes:
    """Return the bytes of a secret file; ``setting`` is its key in the configuration.

    Raises:
        ConfigurationError: if it is not named, not readable or shorter than 32 bytes.
    """
    if path is None:
        raise ConfigurationError(f"'{setting}' is missing: name a file with at least {MIN_BYTES} random bytes")
    try:
        # As it is: one random key in twenty begins or ends with a byte that is white space.
        material = file_contents(path)
    except OSError as error:
        raise ConfigurationError(f"'{setting}': {path}: {error.strerror}") from None
    if len(material) < MIN_BYTES:
        raise ConfigurationError(f"'{setting}': {path} holds {len(material)} bytes, at least {MIN_BYTES} are needed")
    return material


def read_token(path: Path | None, setting: str) -> str:
    """Return the text of a secret file that travels in headers; empty where none is named.

    Raises:
        ConfigurationError: if it is not readable, or has fewer than 32 characters of ASCII.
    """
    if path is None:
        return ""
    try:
        text = read_key_material(path, setting).decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    # An empty token would open the door to everybody.
    if len(text) < MIN_BYTES:
        raise ConfigurationError(
            f"'{setting}': it must hold at least {MIN_BYTES} characters of ASCII text, such as hex"
        )
    return text
