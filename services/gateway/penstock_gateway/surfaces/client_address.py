"""Where a request really comes from.

The edge stands between the caller and this process, so the connection's other
end is the edge, and the caller's address a header. Anybody can write a header:
it counts beside the token that only the edge has. A request with the header
and without the token comes from nowhere, and passes no network; it must not
pass for one from the edge's own address.

Whoever comes without the edge may come by a balancer: one in the trusted
ranges is believed what it says in ``x-forwarded-for``, as the edge believes
its own (services/gateway/edge/client_address.go). Of several such entries gRPC
hands on the last, which is the nearest proxy's.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from penstock_common.sections import ParentSampling
from penstock_gateway.domain.access.networks import Address, Network, lies_in, read_address

ADDRESS_HEADER = "x-penstock-client-address"
TOKEN_HEADER = "x-penstock-edge-token"  # noqa: S105 - the name of the header, not a token
FORWARDED_HEADER = "x-forwarded-for"

_WITH_PORT = re.compile(
    r"(?:\[(?P<six>[^\[\]]+)\]|(?P<four>[0-9.]+)(?=:)|(?P<bare>[^\[\]]+))(?(bare)|(?::(?P<port>[0-9]{1,5}))?)"
)
_MAX_PORT = 65535

MAX_FORWARDED_HOPS = 32
"""How far a chain of proxies is followed."""


class ClientAddresses:
    """Finds callers' addresses. Without a token no edge is believed, and without trusted ranges no proxy."""

    def __init__(
        self,
        edge_token: str = "",
        trusted_proxies: tuple[Network, ...] = (),
        parent_sampling: ParentSampling = "trusted",
    ) -> None:
        self._parent_sampling = parent_sampling
        self._token = edge_token.encode()
        self._trusted = trusted_proxies

    def of(self, headers: Mapping[str, str], peer: Callable[[], str]) -> str:
        """Return the address, IPv4 within IPv6 as IPv4; empty where it is not proven."""
        said = headers.get(ADDRESS_HEADER)
        if said is None:
            address = self._nearest(headers.get(FORWARDED_HEADER, ""), read_address(peer()))
        else:
            address = read_address(said) if self.is_of_edge(headers) else None
        return str(address) if address is not None else ""

    def is_of_edge(self, headers: Mapping[str, str]) -> bool:
        """Return whether the edge has sent it on."""
        shown = headers.get(TOKEN_HEADER, "")
        return bool(self._token) and hmac.compare_digest(shown.encode(errors="replace"), self._token)

    def is_of_proxy(self, peer: Callable[[], str]) -> bool:
        """Return whether a trusted proxy has sent it on."""
        return self._trusts(read_address(peer())) if self._trusted else False

    def believes_sampling(self, headers: Mapping[str, str], peer: Callable[[], str]) -> bool:
        """Return whether the caller's word on sampling counts: the edge's does, as it has asked itself the same."""
        if self._parent_sampling == "always" or self.is_of_edge(headers):
            return True
        return self._parent_sampling == "trusted" and self.is_of_proxy(peer)

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and lies_in(self._trusted, address)

    def _nearest(self, forwarded: str, peer: Address | None) -> Address | None:
        """Return the nearest hop that is no trusted proxy.

        What a proxy has said and cannot be read, or a chain without an end, leaves the other end.
        """
        if not forwarded or not self._trusted or not self._trusts(peer):
            return peer
        hop: Address | None = None
        hops = forwarded.rsplit(",", MAX_FORWARDED_HOPS)
        for text in reversed(hops[-MAX_FORWARDED_HOPS:]):
            hop = _hop_address(text)
            if hop is None:
                return peer
            if not self._trusts(hop):
                return hop
        # The request began at one of them, unless there are more than are followed.
        return hop if len(hops) <= MAX_FORWARDED_HOPS else peer


def grpc_peer(peer: str) -> str:
    """Return the address in what gRPC calls a peer, such as ``ipv6:%5B::1%5D:50051``; empty where it has none."""
    scheme, _, rest = peer.partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return ""
    return unquote(rest.rpartition(":")[0]).strip("[]")


def _hop_address(text: str) -> Address | None:
    """Return the address of one hop: ``192.0.2.1``, ``192.0.2.1:443``, ``2001:db8::1`` or ``[2001:db8::1]:443``."""
    match = _WITH_PORT.fullmatch(text.strip(" \t"))
    if match is None or int(match["port"] or 0) > _MAX_PORT:
        return None
    return read_address(match["six"] or match["four"] or match["bare"])
