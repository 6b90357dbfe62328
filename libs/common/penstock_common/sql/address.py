"""Where the database is, and how much of it one process may use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from urllib.parse import SplitResult, urlsplit


class DatabaseAddressError(ValueError):
    """The address names no database that Penstock knows. The message quotes nothing: it may hold a password."""


class DatabaseKind(StrEnum):
    """Which engine keeps the tables."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """``sqlite:///path`` or ``postgresql://user:password@host:port/name?…``."""

    kind: DatabaseKind
    url: str

    @classmethod
    def parse(cls, url: str) -> DatabaseAddress:
        """Return the address that ``url`` says.

        Raises:
            DatabaseAddressError: if it says none.
        """
        if not url:
            raise DatabaseAddressError("it is missing: say sqlite:///path or postgresql://user@host/name")
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in set(DatabaseKind):
            raise DatabaseAddressError("it must begin with sqlite:/// or postgresql://")
        if scheme == DatabaseKind.SQLITE:
            _check_path(rest)
        else:
            _check_server(url)
        return cls(DatabaseKind(scheme), url)

    @property
    def file(self) -> Path | None:
        """Where SQLite keeps it; None for a server."""
        return Path(urlsplit(self.url).path[1:]) if self.kind is DatabaseKind.SQLITE else None

    @property
    def shown(self) -> str:
        """What may stand in messages: no user, no password, no parameters."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _check_path(rest: str) -> None:
    path = rest.partition("?")[0]
    if not path.startswith("/") or path in {"/", "/:memory:"}:
        raise DatabaseAddressError("it must name a file, such as sqlite:////var/lib/penstock/penstock.db")


def _check_server(url: str) -> None:
    # What separates the parts of a URL splits it at the wrong place where a password holds it as it is.
    advice = "it cannot be read: write @ : / ? # and % of a password as %40 %3A %2F %3F %23 and %25"
    try:
        parts = urlsplit(url)
        ports = _ports(parts)
    except ValueError:
        raise DatabaseAddressError(advice) from None
    if parts.netloc.count("@") > 1 or "@" in parts.path or parts.fragment or not all(ports):
        raise DatabaseAddressError(advice)
    if not parts.path.strip("/") and "dbname=" not in parts.query:
        raise DatabaseAddressError("it must name a database, such as postgresql://user@host/penstock")


def _ports(parts: SplitResult) -> list[int]:
    """Return the port of each host: a standby may stand behind a comma."""
    hosts = parts.netloc.rpartition("@")[2].split(",")
    # An address of version 6 stands in brackets.
    written = [host.rpartition("]")[2].rpartition(":")[2] if ":" in host.rpartition("]")[2] else "" for host in hosts]
    return [int(port or "5432") for port in written]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLimits:
    """Bounds of one process's use of a database, so that one that hangs is noticed and let go."""

    pool_size: int = 5
    """Connections at once; who finds none free waits for one."""
    connect_timeout: timedelta = timedelta(seconds=3)
    """For a connection, a new one or one of the pool."""
    statement_timeout: timedelta = timedelta(seconds=5)
    """For one statement, waiting for a lock included."""


UNHURRIED = DatabaseLimits(pool_size=1, connect_timeout=timedelta(seconds=10), statement_timeout=timedelta(hours=1))
"""For migrations and copies of everything, which nobody waits for within a request."""
