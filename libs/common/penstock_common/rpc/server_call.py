"""A call as the side that serves it sees it."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from penstock_common.rpc.scope import Metadata, RequestScope
from penstock_common.telemetry.steps import Steps


class ServerCall(msgspec.Struct, eq=False):
    """Whose call it is, by when it must have ended, and what was done for it.

    ``path`` is ``/package.Service/Method``; ``deadline`` is on the clock of
    ``time.monotonic``, None for none. What a servicer notes in ``steps`` reaches
    the caller at the end, however the call ends. ``metadata`` and ``context`` are
    the socket's: in process there are none, as a caller there is trusted and has
    nothing to prove. ``started`` is on the clock of ``time.perf_counter``, the socket's, too.
    """

    path: str
    scope: RequestScope
    deadline: float | None
    steps: Steps
    metadata: Metadata = ()
    context: Any = None
    started: float = 0.0
    admission: Any = None
    """What an interceptor has found out about the caller, for the servicer; nothing inside the suite."""
    reader: str = ""
    """Whose requests share the turns of one caller to be read; an interceptor says."""

    def seconds_left(self) -> float | None:
        """Return the seconds until the deadline, at least 0; None where there is none."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
