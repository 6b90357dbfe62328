"""How the upstreams are, and leaving one out or taking it back by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from penstock_common.contract.inference import UpstreamAction, UpstreamOrder, UpstreamPlace
from penstock_common.errors import ServiceUnavailable
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed
from penstock_gateway.domain.administration.registry import Registry

DEFAULT_EJECTION = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class EjectionTerms:
    """For how long somebody is left out, ``DEFAULT_EJECTION`` where it is None, and why; forced, also the last one."""

    duration: timedelta | None = None
    reason: str = ""
    force: bool = False


class UpstreamPlaces(Protocol):
    """The upstreams, as administration sees them."""

    async def places(self) -> Sequence[UpstreamPlace]:
        """Return every model at every endpoint of every upstream, in the configuration's order.

        Raises:
            ServiceUnavailable: if the inference service does not answer.
        """
        ...

    async def control(self, order: UpstreamOrder) -> Sequence[UpstreamPlace]:
        """Return the places that were meant, once it is done.

        Raises:
            ResourceNotFound: if there is no such upstream, or model of it.
            ResourceState: if nobody would be left to ask, and it is not forced.
            ServiceUnavailable: if the inference service does not answer.
        """
        ...


class NoUpstreams:
    """Implements ``UpstreamPlaces`` where no gateway runs."""

    async def places(self) -> Sequence[UpstreamPlace]:
        """Refuse."""
        raise _nothing_runs()

    async def control(self, order: UpstreamOrder) -> Sequence[UpstreamPlace]:
        """Refuse."""
        raise _nothing_runs()


def _nothing_runs() -> ServiceUnavailable:
    return ServiceUnavailable("Nothing runs here that asks upstreams.", service="inference")


class UpstreamAdministration:
    """Lists upstreams and does with them as operators say; each time leaves its entry in the audit log."""

    def __init__(self, upstreams: UpstreamPlaces, registry: Registry) -> None:
        self._upstreams = upstreams
        self._audit = AuditLog(registry)

    async def list(self) -> Sequence[UpstreamPlace]:
        """Return how every place is."""
        return await self._upstreams.places()

    async def probe(self, actor: Actor, upstream: str, model: str) -> Sequence[UpstreamPlace]:
        """Have an upstream, or a model of it, asked for a token at once.

        Raises:
            ResourceNotFound: if there is none.
        """
        return await self._do(actor, UpstreamOrder(upstream=upstream, model=model, action=UpstreamAction.PROBE))

    async def eject(self, actor: Actor, upstream: str, model: str, terms: EjectionTerms) -> Sequence[UpstreamPlace]:
        """Have an upstream, or a model of it, left out.

        Raises:
            InvalidRequest: if it is for no time or for too long, or the reason is too long.
            ResourceNotFound: if there is none.
            ResourceState: if nobody would be left to ask, and it is not forced.
        """
        order = UpstreamOrder(
            upstream=upstream,
            model=model,
            action=UpstreamAction.EJECT,
            duration=DEFAULT_EJECTION if terms.duration is None else terms.duration,
            reason=terms.reason,
            force=terms.force,
        )
        return await self._do(actor, order)

    async def restore(self, actor: Actor, upstream: str, model: str) -> Sequence[UpstreamPlace]:
        """Have an upstream, or a model of it, asked again, whoever left it out.

        Raises:
            ResourceNotFound: if there is none.
        """
        return await self._do(actor, UpstreamOrder(upstream=upstream, model=model, action=UpstreamAction.RESTORE))

    async def _do(self, actor: Actor, order: UpstreamOrder) -> Sequence[UpstreamPlace]:
        target = f"{order.upstream}/{order.model}" if order.model else order.upstream
        details = {
            "duration": "" if order.duration is None else str(order.duration),
            "reason": order.reason,
            "force": "true" if order.force else "",
        }
        async with self._audit.changing(Deed(actor, f"upstream.{order.action.value}", "", target, details)):
            bounds.ejection(order.duration)
            bounds.reason(order.reason)
            return await self._upstreams.control(order)
