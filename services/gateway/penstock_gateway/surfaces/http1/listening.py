"""Takes the address that the server listens at."""

from __future__ import annotations

import socket
from pathlib import Path

from penstock_common.rpc.server import ListenError

BACKLOG = 8192
_UNIX = "unix:"


def bound(address: str) -> socket.socket:
    """Return a socket at ``host:port``, or at ``unix:/path`` for its owner alone.

    Raises:
        ListenError: if the address is taken or not ours.
    """
    if address.startswith(_UNIX):
        return _bound_unix(Path(address.removeprefix(_UNIX)))
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
    except (OSError, ValueError) as error:
        raise ListenError(f"cannot listen on {address}: {error}") from None


def unbind(address: str) -> None:
    """Remove what a unix address leaves behind."""
    if address.startswith(_UNIX):
        Path(address.removeprefix(_UNIX)).unlink(missing_ok=True)


def _bound_unix(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener
