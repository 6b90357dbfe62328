"""Networks that a key is accepted from, and whether an address lies in them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from penstock_common.errors import InvalidRequest

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def read_network(text: str, field: str) -> Network:
    """Return the network that ``192.0.2.0/24``, ``2001:db8::/32`` or an address alone says.

    Raises:
        InvalidRequest: if it is written in another way, or has bits beside its prefix.
    """
    try:
        return ip_network(text)
    except ValueError:
        raise InvalidRequest(
            f"'{text[:64]}' is no network such as 192.0.2.0/24 or 2001:db8::/32.", field=field
        ) from None


def read_address(text: str) -> Address | None:
    """Return the address, an IPv4 address within IPv6 as itself; None where it is none."""
    try:
        # What follows the percent sign is a zone, which is this machine's business.
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def lies_within(networks: Iterable[Network], text: str) -> bool:
    """Return whether the address is in one of the networks; what is no address is in none."""
    address = read_address(text)
    return address is not None and lies_in(networks, address)


def lies_in(networks: Iterable[Network], address: Address) -> bool:
    """Return whether the address is in one of the networks."""
    return any(address in network for network in networks)
