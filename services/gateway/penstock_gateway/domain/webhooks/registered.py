"""Webhooks that tenants have made: where they lead, what they hear of unasked, and the secrets that sign for them."""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.webhooks.delivery import Delivery, DeliveryState
from penstock_gateway.domain.webhooks.endpoint import Endpoint, is_literal, is_public
from penstock_gateway.domain.webhooks.signature import PREFIX

MAX_WEBHOOKS = 10
"""Of one tenant."""
MAX_OVERLAP, USUAL_OVERLAP = timedelta(days=7), timedelta(hours=24)
MAX_REDELIVERED = 1000
"""Messages in one call."""
TEST_EVENT = "webhook.test"
_SECRET_BYTES = 32
_MAX_URL, _MAX_EVENTS = 2048, 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
EVENTS = (
    *(f"job.{end}" for end in ("succeeded", "failed", "dead", "cancelled", "expired")),
    *(f"batch.{end}" for end in ("completed", "failed", "expired", "cancelled")),
    "review.decided",
    "review.escalated",
)
"""The types of messages that a webhook can hear of unasked."""
_WANTED = frozenset((*EVENTS, "job.*", "batch.*", "review.*"))
_HTTPS_PORTS = (None, 443)


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's webhook. ``old_secret`` signs, too, until ``old_until``."""

    tenant: str
    name: str
    url: str
    secret: bytes
    created_at: datetime
    events: tuple[str, ...] = ()
    old_secret: bytes = b""
    old_until: datetime | None = None

    @property
    def key(self) -> str:
        """What messages to it are kept under: no webhook of the configuration has such a name."""
        return key_of(self.tenant, self.name)

    @property
    def shown_url(self) -> str:
        """The address without what may be a secret in it."""
        return self.url.partition("?")[0]

    def endpoint(self, now: datetime) -> Endpoint:
        """Return where messages go now, and what signs them."""
        old = (self.old_secret,) if self.old_until is not None and now < self.old_until else ()
        return Endpoint(self.key, self.url, (self.secret, *old), tenants=frozenset((self.tenant,)))

    def wants(self, event: str) -> bool:
        """Return whether it hears of such a message unasked."""
        return any(event == one or (one[-1] == "*" and event.startswith(one[:-1])) for one in self.events)


class Try(msgspec.Struct, frozen=True):
    """One try to bring a message: the status that came back, 0 for none, why it failed, and how long it took."""

    at: datetime
    status: int
    error: str
    took: timedelta


class LoggedDelivery(msgspec.Struct, frozen=True):
    """A message, and what came of each try, the oldest first."""

    delivery: Delivery
    tries: Sequence[Try]


class WebhookStore(Protocol):
    """Where webhooks are kept, and what was sent to them.

    Each method raises ``ServiceUnavailable`` where the database does not answer.
    """

    async def all(self) -> Sequence[Webhook]:
        """Return every tenant's."""
        ...

    async def of_tenant(self, tenant: str) -> Sequence[Webhook]:
        """Return a tenant's, by name."""
        ...

    async def add(self, webhook: Webhook, most: int) -> bool | None:
        """Keep a new one; False where the name is taken, None where the tenant has ``most`` already."""
        ...

    async def change(self, webhook: Webhook) -> bool:
        """Keep another address, other events or secrets; False where there is none of this name. It is no more gone."""
        ...

    async def remove(self, tenant: str, name: str) -> bool:
        """Forget one, and what waits for it."""
        ...

    async def deliveries(
        self, key: str, states: frozenset[DeliveryState], before: str, limit: int
    ) -> Sequence[LoggedDelivery]:
        """Return messages to one, the newest first; ``before``: the id of the last one of the page before."""
        ...

    async def send(self, delivery: Delivery) -> None:
        """Keep a message to be brought."""
        ...

    async def send_again(self, key: str, delivery_id: str, since: datetime | None, now: datetime) -> int:
        """Have one message due again, or those that were not delivered; return how many."""
        ...

    async def gone(self) -> frozenset[str]:
        """Return the addresses, as ``Endpoint.address`` names them, that want no more."""
        ...


def key_of(tenant: str, name: str) -> str:
    """Return what messages to a tenant's webhook are kept under."""
    return f"{tenant}/{name}"


def shown_name(key: str) -> str:
    """Return the name of a webhook as its tenant knows it."""
    return key.rpartition("/")[2]


def found(endpoints: Mapping[str, Endpoint], tenant: str, name: str) -> Endpoint | None:
    """Return the webhook that a tenant means: its own, or one of the configuration that names the tenant."""
    own = endpoints.get(key_of(tenant, name))
    if own is not None:
        return own
    configured = endpoints.get(name)
    return configured if configured is not None and tenant in configured.tenants else None


def new_secret() -> bytes:
    """Return a fresh secret."""
    return secrets.token_bytes(_SECRET_BYTES)


def written(secret: bytes) -> str:
    """Return a secret as receivers are told it."""
    return PREFIX + b64encode(secret).decode()


def check_name(name: str) -> None:
    """Check a webhook's name.

    Raises:
        InvalidRequest: if none can have it.
    """
    if not _NAME.fullmatch(name):
        text = "webhook.name must have 1 to 64 letters, digits, '.', '_' and '-', and begin with a letter or digit."
        raise InvalidRequest(text, field="webhook.name")


def check_url(url: str) -> None:
    """Check where a webhook leads, as far as its text says it; where a name leads is checked at each try.

    Raises:
        InvalidRequest: if it is no https address of the internet at large.
    """
    problem = _problem_of(url)
    if problem:
        raise InvalidRequest(f"webhook.url {problem}.", field="webhook.url")


def check_events(events: Sequence[str]) -> None:
    """Check the types of messages that a webhook wants unasked.

    Raises:
        InvalidRequest: if they are too many, or one is none.
    """
    if len(events) > _MAX_EVENTS or not _WANTED.issuperset(events):
        text = f"webhook.events must name at most {_MAX_EVENTS} of job.*, batch.*, review.*, {', '.join(EVENTS)}."
        raise InvalidRequest(text, field="webhook.events")


def _problem_of(url: str) -> str:
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        return f"must have at most {_MAX_URL} printable ASCII characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no address"
    if parts.scheme != "https" or not parts.hostname:
        return "must begin with https:// and name a host"
    if parts.username is not None or parts.password is not None:
        return "must name no user: what comes there is signed"
    if port not in _HTTPS_PORTS:
        return "must use the port 443"
    if is_literal(parts.hostname) and not is_public(parts.hostname):
        return "must be an address of the internet at large"
    return ""
