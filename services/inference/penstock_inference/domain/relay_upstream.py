"""The port to an upstream that takes requests as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from penstock_common.contract.relay import RelayRequestHead, RelayResponse
from penstock_common.errors import UpstreamFailed
from penstock_common.rpc.method import Responses


class UpstreamNotReached(UpstreamFailed):
    """No connection came about: nothing of the request was sent."""


class RelayUpstream(Protocol):
    """Passes one request to one address, with our key."""

    def exchange(self, head: RelayRequestHead, pieces: AsyncIterator[bytes]) -> Responses[RelayResponse]:
        """Return the answer as it comes; closing it ends the exchange at once.

        Raises:
            UpstreamNotReached: if nobody is there to be asked.
            UpstreamFailed, UpstreamTimeout: if there is none, or it breaks off.
            PenstockError: what reading the pieces raised.
        """
        ...
