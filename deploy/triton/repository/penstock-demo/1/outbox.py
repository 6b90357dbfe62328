"""Responses on their way to Triton: a thread of their own sends them where there are many.

Handing Triton a response takes 60 us, and asking whether the client is gone 30, both spent waiting for another
process. Text that comes while a response of the same request still waits to be sent is joined to it: under load a
response carries several tokens, never the first one late.
"""

import logging
import queue
import threading
import time
from collections import deque
from typing import Protocol

POLL_SECONDS = 0.02
# So that looking after many requests takes a tenth of the thread at most.
REQUESTS_A_POLL = 64
# Up to so many open requests, whoever posts sends: changing threads would cost more than the wait.
FEW_REQUESTS = 4

logger = logging.getLogger(__name__)


class Delivery(Protocol):
    """One request's way out. `poll` is called from the outbox's thread only."""

    def send(self) -> bool:
        """Send what has gathered; true if that was the end. From two threads at once, the second waits."""
        ...

    def poll(self) -> None:
        """Look whether the client is still there."""
        ...


class Outbox:
    """Calls `send` after each `post`, and `poll` of every open request now and then."""

    def __init__(self) -> None:
        self._posts: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._open: set[Delivery] = set()
        self._to_poll: deque[Delivery] = deque()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def post(self, delivery: Delivery) -> None:
        """Have what has gathered sent."""
        if len(self._open) > FEW_REQUESTS:
            self._posts.put(delivery)
        else:
            self._send(delivery)

    def admit(self, delivery: Delivery) -> None:
        """Look after a request until it ends."""
        self._open.add(delivery)
        # Wakes the thread if it slept for want of requests.
        self._posts.put(delivery)

    def close(self) -> None:
        """Send what was posted, then stop the thread."""
        self._posts.put(None)
        self._thread.join()

    def _run(self) -> None:
        next_poll = time.monotonic()
        while True:
            try:
                wait = max(0.0, next_poll - time.monotonic()) if self._open else None
                delivery = self._posts.get(timeout=wait) if wait != 0.0 else self._posts.get_nowait()
            except queue.Empty:
                pass
            else:
                if delivery is None:
                    return
                self._send(delivery)
            if self._open and time.monotonic() >= next_poll:
                self._poll_some()
                next_poll = time.monotonic() + POLL_SECONDS

    def _send(self, delivery: Delivery) -> None:
        try:
            ended = delivery.send()
        except Exception:
            logger.exception("a response could not be sent")
            ended = True
        if ended:
            self._open.discard(delivery)

    def _poll_some(self) -> None:
        if not self._to_poll:
            self._to_poll.extend(list(self._open))  # in one go: others add and discard
        for _ in range(min(REQUESTS_A_POLL, len(self._to_poll))):
            delivery = self._to_poll.popleft()
            if delivery in self._open:
                delivery.poll()
