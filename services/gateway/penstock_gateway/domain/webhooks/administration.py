"""Making, changing and taking away webhooks, and what was sent to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from penstock_common.errors import InvalidRequest, ResourceExists, ResourceNotFound
from penstock_gateway.domain.access.identity import new_id
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, Now, utc_now
from penstock_gateway.domain.administration.bounds import required_tenant
from penstock_gateway.domain.administration.paging import Listing, Page, listing
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.webhooks.delivery import Delivery, DeliveryState, message
from penstock_gateway.domain.webhooks.registered import (
    MAX_OVERLAP,
    MAX_WEBHOOKS,
    TEST_EVENT,
    USUAL_OVERLAP,
    LoggedDelivery,
    Webhook,
    WebhookStore,
    check_events,
    check_name,
    check_url,
    key_of,
    new_secret,
)

_KIND = "webhook"
CHANGEABLE = ("url", "events")


class Renewed(Protocol):
    """Who goes by webhooks in this process."""

    async def renew(self) -> None:
        """Read what was changed."""
        ...


class SeenWebhook(msgspec.Struct, frozen=True):
    """A webhook, and whether its receiver wants no more."""

    webhook: Webhook
    is_gone: bool = False


class WebhookAdministration:
    """Keeps webhooks. One of another tenant is, for a tenant's own key, one that does not exist."""

    def __init__(self, store: WebhookStore, registry: Registry, book: Renewed, now: Now = utc_now) -> None:
        self._store = store
        self._book = book
        self._audit = AuditLog(registry, now)
        self._now = now

    async def create(self, actor: Actor, tenant: str, name: str, url: str, events: Collection[str]) -> Webhook:
        """Return the new webhook.

        Raises:
            InvalidRequest: if its name, address or events cannot be, or the tenant has as many as it may.
            ResourceExists: if the tenant has one of this name.
        """
        async with self._audit.changing(Deed(actor, "webhook.create", tenant or actor.tenant, name)):
            owner = required_tenant(actor.meant(tenant))
            check_name(name)
            check_url(url)
            check_events([*events])
            made = Webhook(
                tenant=owner, name=name, url=url, secret=new_secret(), events=tuple(events), created_at=self._now()
            )
            added = await self._store.add(made, MAX_WEBHOOKS)
            if added is None:
                raise InvalidRequest(f"A tenant may have at most {MAX_WEBHOOKS} webhooks.", field="webhook.name")
            if not added:
                raise ResourceExists(f"There is a webhook '{name}' already.", kind=_KIND, name=name)
        await self._book.renew()
        return made

    async def get(self, actor: Actor, tenant: str, name: str) -> SeenWebhook:
        """Return a webhook.

        Raises:
            ResourceNotFound: if the tenant has none of this name.
        """
        for seen in await self.list(actor, tenant):
            if seen.webhook.name == name:
                return seen
        raise no_webhook(name)

    async def list(self, actor: Actor, tenant: str) -> Sequence[SeenWebhook]:
        """Return a tenant's webhooks, by name."""
        owner, gone = required_tenant(actor.meant(tenant)), await self._store.gone()
        now = self._now()
        return [
            SeenWebhook(webhook, webhook.endpoint(now).address in gone)
            for webhook in await self._store.of_tenant(owner)
        ]

    async def update(self, actor: Actor, wanted: Webhook, fields: Collection[str]) -> SeenWebhook:
        """Return the webhook with ``fields``, those of ``CHANGEABLE``, as ``wanted`` says."""
        if not fields or set(fields) - set(CHANGEABLE):
            raise InvalidRequest(f"update_mask may name {' and '.join(CHANGEABLE)} only.", field="update_mask")
        deed = Deed(actor, "webhook.update", wanted.tenant or actor.tenant, wanted.name)
        async with self._audit.changing(deed):
            before = (await self.get(actor, wanted.tenant, wanted.name)).webhook
            changed = msgspec.structs.replace(before, **{field: getattr(wanted, field) for field in fields})
            check_url(changed.url)
            check_events(changed.events)
            await self._change(changed)
        await self._book.renew()
        return await self.get(actor, wanted.tenant, wanted.name)

    async def delete(self, actor: Actor, tenant: str, name: str) -> None:
        """Take a webhook away; raises as ``get``."""
        async with self._audit.changing(Deed(actor, "webhook.delete", tenant or actor.tenant, name)):
            owner = required_tenant(actor.meant(tenant))
            if not await self._store.remove(owner, name):
                raise no_webhook(name)
        await self._book.renew()

    async def rotate(self, actor: Actor, tenant: str, name: str, overlap: timedelta | None) -> Webhook:
        """Return the webhook with another secret; the old one signs, too, while they overlap.

        Raises:
            InvalidRequest: if the overlap is too long.
            ResourceNotFound: as ``get``.
        """
        wanted = USUAL_OVERLAP if overlap is None else overlap
        if not timedelta() <= wanted <= MAX_OVERLAP:
            raise InvalidRequest(f"overlap must be at most {MAX_OVERLAP.days} days.", field="overlap")
        async with self._audit.changing(Deed(actor, "webhook.rotate", tenant or actor.tenant, name)):
            before = (await self.get(actor, tenant, name)).webhook
            until = self._now() + wanted
            rotated = msgspec.structs.replace(
                before, secret=new_secret(), old_secret=before.secret, old_until=until if wanted else None
            )
            await self._change(rotated)
        await self._book.renew()
        return rotated

    async def test(self, actor: Actor, tenant: str, name: str) -> Delivery:
        """Return a message that is about to be sent; raises as ``get``."""
        webhook = (await self.get(actor, tenant, name)).webhook
        now, message_id = self._now(), f"msg_{new_id()}"
        body = message(TEST_EVENT, now, {"id": message_id, "webhook": name})
        sent = Delivery(id=message_id, webhook=webhook.key, type=TEST_EVENT, body=body, created_at=now, next_at=now)
        await self._store.send(sent)
        return sent

    async def deliveries(
        self, actor: Actor, tenant: str, name: str, states: frozenset[DeliveryState], page: Page
    ) -> Listing[LoggedDelivery]:
        """Return a page of messages, the newest first; raises as ``get``."""
        webhook = (await self.get(actor, tenant, name)).webhook
        logged = await self._store.deliveries(webhook.key, states, page.after, page.size + 1)
        return listing([*logged], page, lambda one: one.delivery.id)

    async def redeliver(self, actor: Actor, tenant: str, name: str, delivery_id: str, since: datetime | None) -> int:
        """Return how many messages are due again.

        Raises:
            ResourceNotFound: if a message is named that is none of this webhook's, or as ``get``.
        """
        owner = required_tenant(actor.meant(tenant))
        await self.get(actor, tenant, name)
        count = await self._store.send_again(key_of(owner, name), delivery_id, since, self._now())
        if delivery_id and not count:
            text = f"The webhook '{name}' has no message '{delivery_id[:64]}'."
            raise ResourceNotFound(text, kind="webhook delivery", name=delivery_id[:64])
        await self._audit.note(
            Deed(actor, "webhook.redeliver", owner, name, {"delivery": delivery_id, "messages": str(count)}), "ok"
        )
        return count

    async def _change(self, webhook: Webhook) -> None:
        if not await self._store.change(webhook):
            raise no_webhook(webhook.name)


def no_webhook(name: str) -> ResourceNotFound:
    """Return the error of a webhook that is not there, or not the asker's."""
    return ResourceNotFound(f"There is no webhook '{name[:64]}'.", kind=_KIND, name=name[:64])
