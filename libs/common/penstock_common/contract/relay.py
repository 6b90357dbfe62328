"""Requests that pass to an upstream as they are: where they go, on what terms, and what comes back."""

from __future__ import annotations

from penstock_common.llm.types import Value

RELAY_STEP = "relay"
"""The step of asking the upstream: where there is none, it was not asked."""
NOT_SENT = "not_sent"
"""What that step has where there was nobody to send the request to."""

Headers = tuple[tuple[str, str], ...]
"""Lower-case names and values, in their order."""


class RelayPlace(Value, frozen=True):
    """What is asked of which upstream.

    ``path`` is behind the upstream's base URL, as it stands on the wire: it begins with a slash, and its escapes are kept.
    No ``allowed_regions`` means anywhere.
    """

    upstream: str
    method: str
    path: str
    allowed_regions: tuple[str, ...] = ()


class RelayTerms(Value, frozen=True):
    """The pattern of the configuration that lets a request pass, what it costs (None: nobody knows), and its bound."""

    pattern: str
    price_nano_usd: int | None = None
    max_request_bytes: int = 0


class RelayRequestHead(Value, frozen=True):
    """How a request begins; ``query`` as on the wire, without its mark. ``length`` of the body, None: not known yet."""

    place: RelayPlace
    query: str = ""
    headers: Headers = ()
    length: int | None = None


class RelayResponseHead(Value, frozen=True):
    """How an answer begins; ``length`` of its body, where the upstream says so."""

    status: int
    headers: Headers = ()
    length: int | None = None


RelayRequest = RelayRequestHead | bytes
"""The head comes first, and once; then pieces of the body, none of them empty."""
RelayResponse = RelayResponseHead | bytes
"""As a request's."""
