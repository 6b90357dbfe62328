"""BudgetService: convert, administer, convert."""

from __future__ import annotations

from collections.abc import Callable

from penstock.gateway.v1 import budget_service_pb2 as pb
from penstock_common.rpc.method import Handler
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.administration.audit import utc_now
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.budgets.administration import BudgetAdministration
from penstock_gateway.domain.budgets.budget import Budget
from penstock_gateway.domain.budgets.explaining import LimitExplainer
from penstock_gateway.surfaces.grpc.budget_messages import (
    asked_from,
    budget_from,
    budget_message,
    explained_message,
    grace_from,
    line_message,
    standing_message,
)
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf
from penstock_gateway.surfaces.grpc.methods import handlers_of


class BudgetServicer:
    """Serves budgets; calls come authorised or not at all, and the domain keeps the walls between tenants."""

    def __init__(
        self, budgets: BudgetAdministration, limits: LimitExplainer, zone_of: Callable[[str], str], actor_of: ActorOf
    ) -> None:
        self._budgets = budgets
        self._limits = limits
        self._zone_of = zone_of
        self._actor = actor_of

    def handlers(self) -> list[Handler]:
        """Return what this serves."""
        return handlers_of(pb.DESCRIPTOR.services_by_name["BudgetService"], self)

    async def CreateBudget(self, request: pb.CreateBudgetRequest, call: ServerCall) -> pb.CreateBudgetResponse:
        """Return a new budget."""
        made = await self._budgets.create(self._actor(call), budget_from(request.budget))
        return pb.CreateBudgetResponse(budget=self._message(made))

    async def GetBudget(self, request: pb.GetBudgetRequest, call: ServerCall) -> pb.GetBudgetResponse:
        """Return a budget."""
        found = await self._budgets.get(self._actor(call), request.tenant, request.name)
        return pb.GetBudgetResponse(budget=self._message(found))

    async def ListBudgets(self, request: pb.ListBudgetsRequest, call: ServerCall) -> pb.ListBudgetsResponse:
        """Return budgets and where they stand."""
        page, over = Page.of(request.page_size, request.page_token), request.over_percent
        listed = await self._budgets.list(self._actor(call), request.tenant, page, over)
        now = utc_now()
        lines = [line_message(line, self._zone_of(line.budget.tenant), now) for line in listed.items]
        return pb.ListBudgetsResponse(budgets=lines, next_page_token=listed.next_token)

    async def UpdateBudget(self, request: pb.UpdateBudgetRequest, call: ServerCall) -> pb.UpdateBudgetResponse:
        """Return a changed budget."""
        wanted, fields = budget_from(request.budget), request.update_mask.paths
        return pb.UpdateBudgetResponse(
            budget=self._message(await self._budgets.update(self._actor(call), wanted, fields))
        )

    async def DeleteBudget(self, request: pb.DeleteBudgetRequest, call: ServerCall) -> pb.DeleteBudgetResponse:
        """Take a budget away."""
        await self._budgets.delete(self._actor(call), request.tenant, request.name)
        return pb.DeleteBudgetResponse()

    async def GrantGrace(self, request: pb.GrantGraceRequest, call: ServerCall) -> pb.GrantGraceResponse:
        """Return a budget that has more for a time."""
        granted = await self._budgets.grant(self._actor(call), request.tenant, request.name, grace_from(request))
        return pb.GrantGraceResponse(budget=self._message(granted))

    async def GetStanding(self, request: pb.GetStandingRequest, call: ServerCall) -> pb.GetStandingResponse:
        """Return where a budget stands."""
        line = await self._budgets.standing(self._actor(call), request.tenant, request.name)
        return pb.GetStandingResponse(budget=self._message(line.budget), standing=standing_message(line.standing))

    async def ExplainLimits(self, request: pb.ExplainLimitsRequest, call: ServerCall) -> pb.ExplainLimitsResponse:
        """Return what would bind a request."""
        return explained_message(await self._limits.explain(self._actor(call), asked_from(request)))

    def _message(self, budget: Budget) -> pb.Budget:
        return budget_message(budget, self._zone_of(budget.tenant), utc_now())
