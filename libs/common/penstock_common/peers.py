"""Who stands at the other end of a connection, by the names in its certificate, and whom a role lets in."""

from __future__ import annotations

from collections.abc import Iterable

from penstock_common.errors import PeerNotPermitted

ANYBODY = "*"
_SHOWN = 4


class Guestlist:
    """The names that may call a role: DNS names and URIs as they stand in certificates, ``*`` for any of them.

    A certificate's common name counts for nothing (RFC 9525, section 2).
    """

    def __init__(self, role: str, names: Iterable[str]) -> None:
        self._role = role
        self._names = frozenset(_folded(name) for name in names)

    def admit(self, names: Iterable[str]) -> None:
        """Let in whose certificate has one of the names.

        Raises:
            PeerNotPermitted: if it has none.
        """
        shown = sorted({_folded(name) for name in names})
        if ANYBODY in self._names or not self._names.isdisjoint(shown):
            return
        peer = ", ".join(shown[:_SHOWN]) or "nobody"
        raise PeerNotPermitted(
            f"The certificate is for {peer}, which may not call the {self._role}: see 'services.peers.{self._role}'.",
            peer=peer,
            role=self._role,
        )


def _folded(name: str) -> str:
    # DNS names are alike in capitals and small letters; URIs, such as spiffe://penstock/gateway, are not.
    return name if ":" in name else name.lower()
