"""Answers that nobody is given: a variant of an experiment answers beside the model that the caller has asked.

A shadow begins once the caller has the answer. It takes no place among the tenant's requests, is billed to no tenant,
is kept by no cache, and gives way: it is sheddable, and beyond the bound it is not made at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from penstock_common.contract.inference import GenerateRequest
from penstock_common.contract.router import RouteRequest, requirements_of
from penstock_common.llm.types import GenerationInput
from penstock_common.priority import Priority
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.experiments.running import Assigned
from penstock_gateway.domain.life.forks import Forks
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.life.ports import Generator, Router
from penstock_gateway.domain.life.progress import Progress
from penstock_gateway.domain.life.settlement import Ledger, LedgerRow, Part, outcome_of

SURFACE = "shadow"
_SUFFIX = "-shadow"

_log = structlog.get_logger(__name__)


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be answered: ``request`` as the variant has it, its ``route``, and the ``part`` that its row has."""

    call: Call[ChatOrder]
    request: GenerationInput
    route: RouteRequest
    part: Part


def shadow_of(call: Call[ChatOrder], effective: GenerationInput, assigned: Assigned, forks: Forks) -> Shadow:
    """Return the shadow beside a request, which has one."""
    variant = assigned.shadow
    assert variant is not None, "asked for the shadow of a request without one"
    request = msgspec.structs.replace(effective, model=variant.model) if variant.model else effective
    part = msgspec.structs.replace(assigned.part, variant=variant.name, shadow=True)
    route = RouteRequest(request.model, requirements_of(request), call.caller.tenant.regions)
    if request.model in forks.names:
        route = forks.told(route, request, call.caller, call.order.context, call.order.policy)
    return Shadow(call=call, request=request, route=route, part=part)


class Shadows:
    """Runs shadows, ``at_once`` of them at most, each for ``longest`` at most."""

    def __init__(self, ledger: Ledger, at_once: int, longest: timedelta) -> None:
        self._ledger = ledger
        self._at_once = at_once
        self._timeout_seconds = longest.total_seconds()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> int:
        """How many there are."""
        return len(self._tasks)

    def begin(self, shadow: Shadow, router: Router, generator: Generator) -> bool:
        """Begin one; return False where as many as may be are running already."""
        if len(self._tasks) >= self._at_once:
            return False
        task = asyncio.get_running_loop().create_task(self._run(shadow, router, generator), name=SURFACE)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """End all of them, each with its row."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, shadow: Shadow, router: Router, generator: Generator) -> None:
        answer = _ShadowAnswer(shadow, router, generator)
        error: BaseException | None = None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await answer.hear(self._timeout_seconds)
        except asyncio.CancelledError as cancelled:
            error = cancelled
            raise
        except Exception as failure:  # noqa: BLE001 - nobody waits for it; the row says how it ended
            error = failure
            _log.info("shadow_failed", experiment=shadow.part.experiment, outcome=outcome_of(failure))
        finally:
            self._ledger.append(answer.row(error))


class _ShadowAnswer:
    """One shadow's answer, as far as it came."""

    def __init__(self, shadow: Shadow, router: Router, generator: Generator) -> None:
        self._shadow = shadow
        self._router = router
        self._generator = generator
        self._began_ns = time.time_ns()
        self._attempts: list[Step] = []
        self._progress = Progress()

    async def hear(self, seconds: float) -> None:
        """Have it generated, and forget what it says."""
        call, request = self._shadow.call, self._shadow.request
        order = call.order
        deadline = time.monotonic() + seconds
        CURRENT_SCOPE.set(
            RequestScope(
                request_id=order.request_id, tenant=order.tenant, deadline=deadline, priority=Priority.SHEDDABLE
            )
        )
        plan = await self._router.route(self._shadow.route, [])
        asked = GenerateRequest(
            input=request, plan=plan, whole=order.whole, may_hedge=False, priority=Priority.SHEDDABLE
        )
        stream = self._generator.generate(asked, self._attempts)
        try:
            async for batch in stream:
                self._progress.note(batch)
        finally:
            await stream.aclose()

    def row(self, error: BaseException | None) -> LedgerRow:
        """Return its row: of no tenant and no key, beside the request's own by its ``request_id``."""
        order, progress = self._shadow.call.order, self._progress
        if progress.finished is None:
            progress.note_ended(self._attempts)
        bill, by, finished = progress.bill(self._shadow.request), progress.answered_by, progress.finished
        first_ns = 0 if order.whole else progress.first_event_ns
        return LedgerRow(
            generation_id=order.generation_id + _SUFFIX,
            request_id=order.request_id,
            created_at=datetime.fromtimestamp(self._began_ns / 1e9, UTC),
            tenant="",
            key_id="",
            surface=SURFACE,
            requested_model=self._shadow.request.model,
            outcome=outcome_of(error),
            upstream=by.upstream if by else "",
            model=by.model if by else "",
            finish_reason=finished.reason.value if finished else "",
            usage=bill.usage,
            unit_prices=bill.unit_prices,
            cost_nano_usd=bill.cost_nano_usd,
            attempts=finished.attempts if finished else len(self._attempts),
            time_to_first_token_ms=(first_ns - self._began_ns) / 1e6 if first_ns else None,
            duration_ms=(time.time_ns() - self._began_ns) / 1e6,
            part=self._shadow.part,
        )


@asynccontextmanager
async def shadowing(ledger: Ledger, at_once: int, longest: timedelta) -> AsyncGenerator[Shadows, None]:
    """Yield what runs shadows; those that are not over when the context ends are ended."""
    shadows = Shadows(ledger, at_once, longest)
    try:
        yield shadows
    finally:
        await shadows.close()
