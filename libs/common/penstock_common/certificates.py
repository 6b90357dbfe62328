"""Certificates in files, and seeing that they were renewed, without a restart."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from penstock_common.configuration import ConfigurationError
from penstock_common.file_contents import file_contents

_log = structlog.get_logger(__name__)

Stamp = tuple[tuple[int, int, int], ...]
"""Of each file: its number on the disk, its size, and when it was written, in nanoseconds."""


class PemFiles(Protocol):
    """Where a chain and its key are, and the authority that others are signed by where there is one."""

    @property
    def cert_file(self) -> Path:
        """The chain, PEM."""
        ...

    @property
    def key_file(self) -> Path:
        """Its private key."""
        ...

    @property
    def ca_file(self) -> Path | None:
        """The authority; None for none."""
        ...


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM contents: a chain, its key, and the authority that everyone inside must be signed by, empty for none.

    ``files`` is where they are from, None where they stay as they are.
    """

    chain: bytes
    key: bytes
    authority: bytes
    files: PemFiles | None = None

    @classmethod
    def read(cls, files: PemFiles) -> Certificates:
        """Return what the files of ``services.tls`` hold.

        Raises:
            ConfigurationError: if one cannot be read.
        """
        return cls(
            _read(files.cert_file, "services.tls.cert_file"),
            _read(files.key_file, "services.tls.key_file"),
            _read(files.ca_file, "services.tls.ca_file") if files.ca_file is not None else b"",
            files,
        )


class Renewal:
    """Looks whether the files have changed. What cannot be used, such as half of a pair, leaves what was there.

    It is asked again at the next look, so files that are written one after another are taken once they fit. One for
    each who asks; from any thread.
    """

    def __init__(self, held: Certificates) -> None:
        self._files = held.files
        self._taken = held
        # Unknown: they may have changed since they were read.
        self._stamp: Stamp | None = None
        self._refused: Stamp | None = None
        self._lock = threading.Lock()

    def look(self) -> Certificates | None:
        """Return the new certificates; None where there are none."""
        with self._lock:
            files = self._files
            stamp = None if files is None else _stamp_of(files)
            if files is None or stamp is None or stamp == self._stamp:
                return None
            try:
                return self._taken_from(files, stamp)
            except (OSError, ssl.SSLError, ConfigurationError) as error:
                self._tell(files, stamp, str(error))
                return None

    def _taken_from(self, files: PemFiles, stamp: Stamp) -> Certificates | None:
        server_context(files)
        found = Certificates.read(files)
        if _stamp_of(files) != stamp:
            # Still being written.
            return None
        self._stamp, self._refused = stamp, None
        if found == self._taken:
            return None
        self._taken = found
        _log.info("certificates_renewed", file=str(files.cert_file))
        return found

    def _tell(self, files: PemFiles, stamp: Stamp, reason: str) -> None:
        """Say once of each state of the files why they cannot be used."""
        if stamp != self._refused:
            self._refused = stamp
            _log.warning("certificates_cannot_be_used", file=str(files.cert_file), reason=reason)


def server_context(files: PemFiles) -> ssl.SSLContext:
    """Return what a server shows and, where there is an authority, asks of its clients.

    Raises:
        OSError, ssl.SSLError: if the files cannot be read, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert_file, files.key_file)
    if files.ca_file is not None:
        context.load_verify_locations(files.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _stamp_of(files: PemFiles) -> Stamp | None:
    """Return what tells one state of the files from another; None while one is not there."""
    paths = (files.cert_file, files.key_file, files.ca_file)
    try:
        found = [path.stat() for path in paths if path is not None]
    except OSError:
        return None
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


def _read(path: Path, setting: str) -> bytes:
    try:
        return file_contents(path)
    except OSError as error:
        raise ConfigurationError(f"'{setting}': {path}: {error.strerror}") from None
