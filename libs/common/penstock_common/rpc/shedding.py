"""What a process of a service turns away, class by class, before it is more than it can hold: unread, and told at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from penstock_common.errors import Overloaded
from penstock_common.priority import RESERVED_SECONDS, Priority, Room
from penstock_common.rpc.server_call import ServerCall
from penstock_common.telemetry import semconv


class Shed(Overloaded):
    """One process of a service has no room; another of them may have. The caller's gRPC asks it, as for a lost call."""


class LoadShedding:
    """Refuses calls of a class whose share is full: a server interceptor, behind those who say whose call it is. A collector.

    Default calls may fill what critical ones may, unless critical ones have come in the last minute. Health and reflection
    are no calls of a service, and always answered. In one process nobody sheds between two roles: its door does for all.
    """

    def __init__(self, room: Room, clock: Callable[[], float] = time.monotonic) -> None:
        self._room = room
        self._clock = clock
        # One at least: a share of a small number would be nobody's.
        self._most = {each: max(1, int(room.calls * share)) for each, share in room.shares.items()}
        self._inside: set[ServerCall] = set()
        self._shed = dict.fromkeys(Priority, 0)
        self._reserved_until = 0.0

    async def on_start(self, call: ServerCall) -> None:
        """Let a call in while its class has room.

        Raises:
            Overloaded: if it has none; ``Shed`` where another process may have.
        """
        priority = call.scope.priority
        if len(self._inside) < self._most_of(priority):
            self._inside.add(call)
            return
        self._shed[priority] += 1
        refusal = Shed if self._room.others_may_help else Overloaded
        raise refusal(
            f"The {self._room.service} service is busy with {len(self._inside)} calls, "
            f"and has no room for a request whose priority is {priority.word}. Try again."
        )

    def on_end(self, call: ServerCall, error: BaseException | None) -> None:
        """Let it out; who was turned away was not inside."""
        self._inside.discard(call)

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics, as prometheus_client asks of a collector."""
        service = self._room.service
        inside = GaugeMetricFamily(
            semconv.METRIC_CALLS_IN_FLIGHT, "Calls that a process of a service has in hand.", labels=["service"]
        )
        inside.add_metric([service], len(self._inside))
        limit = GaugeMetricFamily(
            semconv.METRIC_CALLS_LIMIT, "Calls of a class that a process of a service takes at once.",
            labels=["service", "class"],
        )  # fmt: skip
        shed = CounterMetricFamily(
            semconv.METRIC_CALLS_SHED, "Calls that a service turned away because their class's share of it was full.",
            labels=["service", "class"],
        )  # fmt: skip
        for priority in Priority:
            limit.add_metric([service, priority.word], self._most[priority])
            shed.add_metric([service, priority.word], self._shed[priority])
        return (inside, limit, shed)

    def _most_of(self, priority: Priority) -> int:
        if priority is Priority.CRITICAL:
            self._reserved_until = self._clock() + RESERVED_SECONDS
        elif priority is Priority.DEFAULT and (not self._reserved_until or self._clock() >= self._reserved_until):
            return self._most[Priority.CRITICAL]
        return self._most[priority]
