"""Which headers of a request that passes through as it is go no further, and which of its answer's. Names are lower-case.

The edge, the gateway and the inference service each keep some back, as each may be asked without the one before it; what
they keep back stands here alone. The edge's own list is `headersOfTheWay` in its `headers.go`, and a test holds it to
``OF_THE_WAY``.
"""

from __future__ import annotations

from collections.abc import Mapping

OF_THE_CONNECTION = frozenset(
    {
        "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host", "content-length", "expect",
    }
)  # fmt: skip
"""Of one connection, in either direction (RFC 9110, 7.6.1); beside what ``Connection`` names."""
OF_THE_WAY = (
    "x-forwarded-", "x-tenant-", "x-penstock-", "x-real-ip", "grpc-", "forwarded", "cookie", "proxy-", "via", "sec-",
)  # fmt: skip
"""How names begin that could be taken for an identity, or tell of the way to us."""
CREDENTIALS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "ocp-apim-subscription-key"})
"""Who asks: a caller's never goes on, whichever of them the upstream reads."""
ASKS_FOR_ANOTHER = frozenset(
    {
        "x-http-method-override", "x-http-method", "x-method-override", "x-original-method", "x-original-url",
        "x-original-uri", "x-rewrite-url", "x-original-host", "openai-organization", "openai-project",
        "x-goog-user-project",
    }
)  # fmt: skip
"""What makes another method or path of a request than those that were let pass, or lets another project of ours pay."""
OF_A_TRACE = frozenset({"traceparent", "tracestate", "x-request-id"})
"""Ours: the upstream is no part of it."""
OF_AN_ORIGIN = frozenset(
    {
        "alt-svc", "clear-site-data", "expect-ct", "nel", "origin-agent-cluster", "public-key-pins", "report-to",
        "reporting-endpoints", "service-worker-allowed", "set-cookie", "set-cookie2", "strict-transport-security",
        "x-sendfile",
    }
)  # fmt: skip
"""Of an answer: what clients, or a proxy before us, take for the word of whoever they have asked, and that is not the upstream."""
_NEVER = OF_THE_CONNECTION | CREDENTIALS | ASKS_FOR_ANOTHER
_STAY_HERE = OF_THE_CONNECTION | OF_AN_ORIGIN
_STAY_HERE_PREFIXES = ("proxy-", "x-accel-")


def named_by_connection(value: str) -> frozenset[str]:
    """Return the headers that a ``Connection`` names: they are of that connection, too."""
    return frozenset([name.strip().lower() for name in value.split(",")])


def may_pass_on(name: str) -> bool:
    """Return whether a header of a request may reach the upstream.

    With ``_`` it counts as with ``-``: servers that hand headers on as variables (RFC 3875, 4.1.18) cannot tell them apart.
    """
    name = name.replace("_", "-")
    return name not in _NEVER and not name.startswith(OF_THE_WAY)


def may_come_back(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the headers of an answer that are its caller's to see."""
    named = named_by_connection(headers.get("connection", ""))
    return tuple(
        [
            (name, value)
            for name, value in headers.items()
            if name not in _STAY_HERE and name not in named and not name.startswith(_STAY_HERE_PREFIXES)
        ]
    )
