"""What a starting, running and ending stack tells whoever watches."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from penstock_suite.domain.reload import Reload


class Preparing(msgspec.Struct, frozen=True, tag="preparing", tag_field="event"):
    """A part is being started."""

    part: str


class Prepared(msgspec.Struct, frozen=True, tag="prepared", tag_field="event"):
    """A part is ready; ``pid`` is 0 for parts in the command's own process."""

    part: str
    seconds: float
    pid: int = 0


class Ready(msgspec.Struct, frozen=True, tag="ready", tag_field="event"):
    """The stack has served once and accepts requests."""

    http: str
    """Such as http://127.0.0.1:8080."""
    grpc: str
    """host:port."""
    key: str
    """Empty where the configuration has keys of its own."""
    model: str
    curl: str
    docs: str
    """Where a browser finds what can be asked, and how."""
    state: str
    seconds: float
    cache: str = ""
    """How the cache matches, and with what."""


class Serving(msgspec.Struct, frozen=True, tag="ready", tag_field="event"):
    """A role that is a process of its own accepts calls."""

    role: str
    listen: str
    seconds: float


class Lost(msgspec.Struct, frozen=True, tag="lost", tag_field="event"):
    """A part has ended by itself, and the stack goes on without it."""

    message: str


class Draining(msgspec.Struct, frozen=True, tag="draining", tag_field="event"):
    """No new requests; those in flight have ``grace_seconds`` to end."""

    grace_seconds: float


class Stopped(msgspec.Struct, frozen=True, tag="stopped", tag_field="event"):
    """Nothing that the command started runs any more."""

    at_once: bool = False
    """A second signal came: requests in flight were cut."""


Event = Preparing | Prepared | Ready | Serving | Lost | Reload | Draining | Stopped
Show = Callable[[Event], None]

_CURL = """\
curl -N {address}/v1/chat/completions -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \
-d '{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "What does the router do?"}}]}}'"""


def curl_for(address: str, key: str, model: str, *, own_certificate: bool = False) -> str:
    """Return a command that streams an answer; without a key it takes ``$PENSTOCK_API_KEY``."""
    command = _CURL.format(address=address, key=key or "$PENSTOCK_API_KEY", model=model)
    return command.replace("curl -N", "curl -N -k", 1) if own_certificate else command
