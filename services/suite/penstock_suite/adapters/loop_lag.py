"""How late a process's event loop is, and how much it has to do, as Prometheus sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from penstock_common.telemetry.metrics import Histograms

INTERVAL_SECONDS = 0.25
"""Between two looks, each of which costs some 5 us."""
_MOST_LOOKS_MISSED = 240
"""Of a process that was stopped, or a machine that slept, a minute's: who asked then has long gone."""
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class LoopLag(Collector):
    """How long what was ready had to wait for the loop: as a request that came at any moment would have found it.

    A timer that is due while the loop stands is seen once, however long that lasts. Those that would have been due meanwhile
    count as well, each with what was left of the wait (the correction for coordinated omission of HdrHistogram), so that
    a quantile is one of time and not of timers.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._registry = CollectorRegistry()
        self._seconds = Histograms(
            self._registry,
            "penstock_event_loop_lag_seconds",
            "How late the event loop runs what is due, looked at every 250 ms.",
            [],
            _BOUNDS,
        )
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def watching(self) -> Generator[None]:
        """Look at the running loop while the context is open."""
        loop = self._loop = asyncio.get_running_loop()
        # Not the loop's clock: uvloop's stands between two of its turns.
        due = self._now() + INTERVAL_SECONDS

        def look() -> None:
            nonlocal due, timer
            now = self._now()
            self.note(now - due)
            due = now + INTERVAL_SECONDS
            timer = loop.call_later(INTERVAL_SECONDS, look)

        timer = loop.call_later(INTERVAL_SECONDS, look)
        try:
            yield
        finally:
            timer.cancel()
            self._loop = None

    def note(self, late_seconds: float) -> None:
        """Count a look that was so late, and those that were due meanwhile."""
        # A timer may be early by what the clock of the loop is rounded to.
        self._seconds.observe((), late_seconds if late_seconds > 0 else 0.0)
        if late_seconds >= INTERVAL_SECONDS:
            for missed in range(1, min(int(late_seconds / INTERVAL_SECONDS), _MOST_LOOKS_MISSED) + 1):
                self._seconds.observe((), late_seconds - missed * INTERVAL_SECONDS)

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now; tasks are counted when somebody asks."""
        yield from self._registry.collect()
        tasks = GaugeMetricFamily("penstock_event_loop_tasks", "Tasks of the event loop that have not ended.")
        if (loop := self._loop) is not None:
            tasks.add_metric((), len(asyncio.all_tasks(loop)))
        yield tasks


@contextmanager
def watched_loop() -> Generator[LoopLag]:
    """Yield what measures the running loop while the context is open."""
    lag = LoopLag()
    with lag.watching():
        yield lag
