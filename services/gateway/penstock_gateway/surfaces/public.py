"""The gateway's open doors: gRPC and the wire formats, and how both are shut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from penstock.gateway.v1 import (
    admin_service_pb2,
    feedback_service_pb2,
    knowledge_service_pb2,
    prompt_service_pb2,
    usage_service_pb2,
)
from penstock_common.certificates import PemFiles
from penstock_common.peers import Guestlist
from penstock_common.rpc.interception import ServerInterceptor
from penstock_common.rpc.server import GrpcLimits, GrpcListener, ServerOptions, listening
from penstock_common.service import Prepare, Service, nothing_to_prepare
from penstock_gateway.domain.life.door import Door
from penstock_gateway.surfaces.grpc.admin import AdminServicer
from penstock_gateway.surfaces.grpc.budgets import BudgetServicer
from penstock_gateway.surfaces.grpc.chat import ChatServicer
from penstock_gateway.surfaces.grpc.embedding import EmbeddingServicer
from penstock_gateway.surfaces.grpc.experiments import ExperimentServicer
from penstock_gateway.surfaces.grpc.feedback import FeedbackServicer
from penstock_gateway.surfaces.grpc.idempotency import IdempotentCalls
from penstock_gateway.surfaces.grpc.jobs import JobServicer
from penstock_gateway.surfaces.grpc.knowledge import KnowledgeServicer
from penstock_gateway.surfaces.grpc.ledger import LedgerServicer
from penstock_gateway.surfaces.grpc.methods import handlers_of
from penstock_gateway.surfaces.grpc.models import ModelServicer
from penstock_gateway.surfaces.grpc.prompts import PromptServicer
from penstock_gateway.surfaces.grpc.reviews import ReviewServicer
from penstock_gateway.surfaces.grpc.status import StatusServicer
from penstock_gateway.surfaces.grpc.usage import UsageServicer
from penstock_gateway.surfaces.grpc.webhooks import WebhookServicer
from penstock_gateway.surfaces.http1.connection import Handler
from penstock_gateway.surfaces.http1.limits import HttpLimits
from penstock_gateway.surfaces.http1.server import HttpServer, serving_http

# Tells whoever shares requests out that this process is about to end. The edge
# keeps it to itself, and turns to another gateway.
_LEAVING_LINE = b"x-penstock-leaving: 1\r\n"


Drain = Callable[[timedelta], Awaitable[None]]
"""Takes nothing more, and returns once what is under way has ended or was given to others, within a grace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surfaces:
    """Everything that callers can reach. Only these servicers, health and reflection are public."""

    chat: ChatServicer
    embeddings: EmbeddingServicer
    models: ModelServicer
    admin: AdminServicer
    prompts: PromptServicer
    feedback: FeedbackServicer
    usage: UsageServicer
    knowledge: KnowledgeServicer
    status: StatusServicer
    budgets: BudgetServicer
    jobs: JobServicer
    webhooks: WebhookServicer
    for_people: tuple[ExperimentServicer, LedgerServicer, ReviewServicer]
    """For operators and reviewers."""
    wire_formats: Handler
    idempotency: IdempotentCalls
    http_limits: HttpLimits
    grpc_limits: GrpcLimits
    interceptors: Sequence[ServerInterceptor]
    """Around every public RPC."""
    prepare: Prepare = nothing_to_prepare
    """What makes other tenants, tiers and keys ready; see ``Service``."""
    also_drains: Drain | None = None
    """What else this process is at, and ends within the grace of a drain."""

    def service(self) -> Service:
        """Return the public gRPC services."""
        admin = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"]
        feedback = feedback_service_pb2.DESCRIPTOR.services_by_name["FeedbackService"]
        servicers = (
            self.chat,
            self.embeddings,
            self.models,
            self.status,
            self.budgets,
            self.jobs,
            self.webhooks,
            *self.for_people,
        )
        handlers = [handler for servicer in servicers for handler in servicer.handlers()]
        prompts = prompt_service_pb2.DESCRIPTOR.services_by_name["PromptService"]
        knowledge = knowledge_service_pb2.DESCRIPTOR.services_by_name["KnowledgeService"]
        usage = usage_service_pb2.DESCRIPTOR.services_by_name["UsageService"]
        handlers += [
            *handlers_of(admin, self.admin),
            *handlers_of(prompts, self.prompts),
            *handlers_of(feedback, self.feedback),
            *handlers_of(usage, self.usage),
            *handlers_of(knowledge, self.knowledge),
        ]
        return Service("gateway", self.idempotency.around(handlers))


class RunningGateway:
    """A gateway that listens."""

    def __init__(self, listener: GrpcListener, http: HttpServer, door: Door, surfaces: Surfaces) -> None:
        self.prepare = surfaces.prepare
        """Called with other settings of the gateway; see ``Service``."""
        self._listener = listener
        self._http = http
        self._door = door
        self._also_drains = surfaces.also_drains

    @property
    def grpc_port(self) -> int:
        """The port of the gRPC listener."""
        return self._listener.port

    async def set_ready(self) -> None:
        """Say that this process accepts work."""
        await self._listener.set_serving(serving=True)

    async def drain(self, grace: timedelta, notice: timedelta = timedelta()) -> None:
        """Refuse arrivals with a proper status, and wait until the rest have ended or ``grace`` is over.

        ``notice`` lies between saying so over health and refusing, for those who can turn to another gateway.
        """
        self._door.give_notice()
        self._http.announce(_LEAVING_LINE)
        await self._listener.set_serving(serving=False)
        await asyncio.sleep(notice.total_seconds())
        self._door.shut()
        async with asyncio.TaskGroup() as group:
            if self._also_drains is not None:
                group.create_task(_drained(self._also_drains, grace))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._door.emptied.wait(), grace.total_seconds())


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the gateway listens: for gRPC at ``host:port``; for the wire formats there, or at ``unix:/path``."""

    grpc: str
    http: str
    grpc_options: ServerOptions = field(default_factory=ServerOptions)
    http_tls: PemFiles | None = None
    http_guests: Guestlist | None = None
    """Who may come there over ``http_tls``; None for everybody whom the authority signed."""


@asynccontextmanager
async def open_to_the_public(surfaces: Surfaces, door: Door, listen: Listen) -> AsyncGenerator[RunningGateway, None]:
    """Yield a gateway that listens.

    Raises:
        ListenError: if an address is taken or not ours.
    """
    options = replace(listen.grpc_options, limits=surfaces.grpc_limits)
    async with (
        listening(listen.grpc, [surfaces.service()], surfaces.interceptors, options) as listener,
        serving_http(
            surfaces.wire_formats, listen.http, listen.http_tls, surfaces.http_limits, listen.http_guests
        ) as http,
    ):
        yield RunningGateway(listener, http, door, surfaces)


async def _drained(drain: Drain, grace: timedelta) -> None:
    await drain(grace)
