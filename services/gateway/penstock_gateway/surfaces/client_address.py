"""Where a request really comes from.

The edge stands between the caller and this process, so the connection's other
end is the edge, and the caller's address a header. Anybody can write a header:
it counts beside the token that only the edge has. A request with the header
and without the token comes from nowhere, and passes no network; it must not
pass for one from the edge's own address.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from penstock_gateway.domain.access.networks import read_address

ADDRESS_HEADER = "x-penstock-client-address"
TOKEN_HEADER = "x-penstock-edge-token"  # noqa: S105 - the name of the header, not a token


class ClientAddresses:
    """Finds callers' addresses. Without a token no edge is believed."""

    def __init__(self, edge_token: str = "") -> None:
        self._token = edge_token.encode()

    def of(self, headers: Mapping[str, str], peer: Callable[[], str]) -> str:
        """Return the address, IPv4 within IPv6 as IPv4; empty where it is not proven."""
        said = headers.get(ADDRESS_HEADER)
        if said is None:
            said = peer()
        elif not self._is_edge(headers.get(TOKEN_HEADER, "")):
            said = ""
        address = read_address(said)
        return str(address) if address is not None else ""

    def _is_edge(self, token: str) -> bool:
        return bool(self._token) and hmac.compare_digest(token.encode(errors="replace"), self._token)


def grpc_peer(peer: str) -> str:
    """Return the address in what gRPC calls a peer, such as ``ipv6:%5B::1%5D:50051``; empty where it has none."""
    scheme, _, rest = peer.partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return ""
    return unquote(rest.rpartition(":")[0]).strip("[]")
