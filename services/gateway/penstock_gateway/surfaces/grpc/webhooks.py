"""WebhookService: convert, keep or send, convert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.gateway.v1 import webhook_service_pb2 as pb
from penstock_common.errors import InvalidRequest
from penstock_common.rpc.durations import duration_from
from penstock_common.rpc.method import Handler
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.webhooks.administration import CHANGEABLE, SeenWebhook, WebhookAdministration
from penstock_gateway.domain.webhooks.delivery import DeliveryState
from penstock_gateway.domain.webhooks.registered import MAX_OVERLAP, LoggedDelivery, Webhook, written
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf
from penstock_gateway.surfaces.grpc.methods import handlers_of

_STATES = {
    DeliveryState.WAITING: pb.WEBHOOK_DELIVERY_STATE_WAITING,
    DeliveryState.DELIVERED: pb.WEBHOOK_DELIVERY_STATE_DELIVERED,
    DeliveryState.EXHAUSTED: pb.WEBHOOK_DELIVERY_STATE_EXHAUSTED,
    DeliveryState.DISABLED: pb.WEBHOOK_DELIVERY_STATE_DISABLED,
}
_STATE_OF: dict[int, DeliveryState] = {number: state for state, number in _STATES.items()}
_NEVER = datetime.fromtimestamp(0, UTC)


class WebhookServicer:
    """Serves webhooks; calls come authorised or not at all, and the domain keeps the walls between tenants."""

    def __init__(self, webhooks: WebhookAdministration, actor_of: ActorOf) -> None:
        self._webhooks = webhooks
        self._webhook_actor = actor_of

    def handlers(self) -> list[Handler]:
        """Return what this serves."""
        return handlers_of(pb.DESCRIPTOR.services_by_name["WebhookService"], self)

    async def CreateWebhook(self, request: pb.CreateWebhookRequest, call: ServerCall) -> pb.CreateWebhookResponse:
        """Return a new webhook and its secret."""
        wanted, actor = request.webhook, self._webhook_actor(call)
        made = await self._webhooks.create(actor, wanted.tenant, wanted.name, wanted.url, wanted.events)
        return pb.CreateWebhookResponse(webhook=_message(SeenWebhook(made)), secret=written(made.secret))

    async def GetWebhook(self, request: pb.GetWebhookRequest, call: ServerCall) -> pb.GetWebhookResponse:
        """Return a webhook."""
        found = await self._webhooks.get(self._webhook_actor(call), request.tenant, request.name)
        return pb.GetWebhookResponse(webhook=_message(found))

    async def ListWebhooks(self, request: pb.ListWebhooksRequest, call: ServerCall) -> pb.ListWebhooksResponse:
        """Return a tenant's webhooks."""
        listed = await self._webhooks.list(self._webhook_actor(call), request.tenant)
        return pb.ListWebhooksResponse(webhooks=map(_message, listed))

    async def UpdateWebhook(self, request: pb.UpdateWebhookRequest, call: ServerCall) -> pb.UpdateWebhookResponse:
        """Return a changed webhook."""
        wanted = request.webhook
        fields = request.update_mask.paths or [field for field in CHANGEABLE if getattr(wanted, field)]
        changed = Webhook(
            tenant=wanted.tenant,
            name=wanted.name,
            url=wanted.url,
            secret=b"",
            created_at=_NEVER,
            events=tuple(wanted.events),
        )
        updated = await self._webhooks.update(self._webhook_actor(call), changed, fields)
        return pb.UpdateWebhookResponse(webhook=_message(updated))

    async def DeleteWebhook(self, request: pb.DeleteWebhookRequest, call: ServerCall) -> pb.DeleteWebhookResponse:
        """Take a webhook away."""
        await self._webhooks.delete(self._webhook_actor(call), request.tenant, request.name)
        return pb.DeleteWebhookResponse()

    async def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, call: ServerCall
    ) -> pb.RotateWebhookSecretResponse:
        """Return a webhook and its new secret."""
        overlap = duration_from(request, "overlap", MAX_OVERLAP)
        rotated = await self._webhooks.rotate(self._webhook_actor(call), request.tenant, request.name, overlap)
        return pb.RotateWebhookSecretResponse(webhook=_message(SeenWebhook(rotated)), secret=written(rotated.secret))

    async def TestWebhook(self, request: pb.TestWebhookRequest, call: ServerCall) -> pb.TestWebhookResponse:
        """Return the id of a message that is about to be sent."""
        sent = await self._webhooks.test(self._webhook_actor(call), request.tenant, request.name)
        return pb.TestWebhookResponse(delivery_id=sent.id)

    async def ListWebhookDeliveries(
        self, request: pb.ListWebhookDeliveriesRequest, call: ServerCall
    ) -> pb.ListWebhookDeliveriesResponse:
        """Return a page of messages."""
        page, actor = Page.of(request.page_size, request.page_token), self._webhook_actor(call)
        states = frozenset(map(_state, request.states))
        listed = await self._webhooks.deliveries(actor, request.tenant, request.name, states, page)
        return pb.ListWebhookDeliveriesResponse(
            deliveries=map(_delivery, listed.items), next_page_token=listed.next_token
        )

    async def RedeliverWebhook(
        self, request: pb.RedeliverWebhookRequest, call: ServerCall
    ) -> pb.RedeliverWebhookResponse:
        """Return how many messages are due again."""
        since = _moment(request.since) if request.HasField("since") else None
        actor = self._webhook_actor(call)
        count = await self._webhooks.redeliver(actor, request.tenant, request.name, request.delivery_id, since)
        return pb.RedeliverWebhookResponse(redelivered=count)


def _message(seen: SeenWebhook) -> pb.Webhook:
    webhook = seen.webhook
    message = pb.Webhook(
        name=webhook.name, tenant=webhook.tenant, url=webhook.shown_url, events=webhook.events, is_gone=seen.is_gone
    )
    message.created_at.CopyFrom(_stamp(webhook.created_at))
    if webhook.old_until is not None:
        message.old_secret_until.CopyFrom(_stamp(webhook.old_until))
    return message


def _delivery(logged: LoggedDelivery) -> pb.WebhookDelivery:
    delivery = logged.delivery
    message = pb.WebhookDelivery(id=delivery.id, type=delivery.type, state=_STATES[delivery.state])
    message.created_at.CopyFrom(_stamp(delivery.created_at))
    if delivery.state is DeliveryState.WAITING:
        message.next_at.CopyFrom(_stamp(delivery.next_at))
    for tried in logged.tries:
        told = message.tries.add(at=_stamp(tried.at), status=tried.status, error=tried.error)
        told.took.FromTimedelta(max(tried.took, timedelta()))
    return message


def _state(number: int) -> DeliveryState:
    if number not in _STATE_OF:
        raise InvalidRequest(f"states: {number} is none that this version knows.", field="states")
    return _STATE_OF[number]


def _stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _moment(stamp: Timestamp) -> datetime:
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest("since is no time.", field="since") from None
