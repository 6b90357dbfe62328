"""Ports for what has to be told its port before it listens."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

# Below what Linux gives to outgoing connections (net.ipv4.ip_local_port_range), any of which could take one meanwhile.
_PORTS = range(20_000, 32_768)
# Tests seed the module's own generator, so that processes side by side would draw the same.
_RANDOM = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nobody listens on, all different."""
    with ExitStack() as held:
        return [_hold(held) for _ in range(count)]


def free_port() -> int:
    """Return one of them."""
    return free_ports(1)[0]


def _hold(held: ExitStack) -> int:
    while True:
        port = _RANDOM.choice(_PORTS)
        listener = held.enter_context(socket.socket())
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
