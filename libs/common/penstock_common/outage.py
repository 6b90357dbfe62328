"""Leaving what fails alone for a moment, and saying so once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

_LOG = logging.getLogger(__name__)


class OutageGate:
    """Lets operations through; after a failure, one per ``cool_down`` until one succeeds.

    An outage is logged when it begins and when it ends, not at every failure. What is late under load is none, while
    other operations succeed.
    """

    def __init__(self, what: str, cool_down: timedelta, monotonic: Callable[[], float]) -> None:
        self._what = what
        self._cool_down_seconds = cool_down.total_seconds()
        self._monotonic = monotonic
        self.is_troubled = False
        """Whether something has failed, or was late, since the last success: else there is nothing to ask, and nothing to note."""
        self._since: float | None = None
        self._silent_since: float | None = None
        self._next_probe_at = 0.0

    def may_try(self) -> bool:
        """Return whether the caller should go ahead; during an outage, True makes the caller the probe."""
        if self._since is None:
            return True
        now = self._monotonic()
        if now < self._next_probe_at:
            return False
        self._next_probe_at = now + self._cool_down_seconds
        return True

    def failed(self, error: Exception) -> None:
        """Note a failure."""
        now = self._monotonic()
        self.is_troubled = True
        self._next_probe_at = now + self._cool_down_seconds
        if self._since is None:
            self._since = now
            _LOG.warning("%s fails (%s: %s); going on without", self._what, type(error).__name__, error)

    def late(self, error: Exception, waited_seconds: float) -> None:
        """Note an operation that did not end in the time it was given: a failure once none has for the cool-down."""
        now = self._monotonic()
        self.is_troubled = True
        if self._silent_since is None:
            self._silent_since = now - waited_seconds
        if self._since is not None or now - self._silent_since >= self._cool_down_seconds:
            self.failed(error)

    def succeeded(self) -> None:
        """Note a success."""
        self._silent_since, self.is_troubled = None, False
        if self._since is not None:
            _LOG.info("%s works again after %.1f s", self._what, self._monotonic() - self._since)
            self._since = None
