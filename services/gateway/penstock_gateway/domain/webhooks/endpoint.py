"""Where messages go."""

from __future__ import annotations

import ipaddress
from hashlib import sha256

import msgspec

# Beside what has no place on the internet by itself, what leads to it in other words.
_WAYS_INSIDE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/23",
        "2002::/16",
        "fec0::/10",
        "::/96",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
    )
)


class Endpoint(msgspec.Struct, frozen=True):
    """An address, and the secrets that sign what goes there; ``allow_private`` permits addresses inside, and plain HTTP."""

    name: str
    url: str
    secrets: tuple[bytes, ...]
    allow_private: bool = False
    tenants: frozenset[str] = frozenset()
    """Whose administrators may name it; operators always may."""

    @property
    def address(self) -> str:
        """What tells its address from others, without showing it: there may be a secret in it."""
        return sha256(self.url.encode()).hexdigest()[:32]


def is_literal(host: str) -> bool:
    """Return whether a host is an IP address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the internet at large: no private, local, multicast or translated one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return is_public(str(found.ipv4_mapped))
    if not found.is_global or found.is_multicast or found.is_reserved or found.is_unspecified:
        return False
    return not any(found.version == network.version and found in network for network in _WAYS_INSIDE)
