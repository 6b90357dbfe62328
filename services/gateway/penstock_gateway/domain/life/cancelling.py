"""Whose cancellation of a task it was."""

from __future__ import annotations

import asyncio


def cancelled_by_others(task: asyncio.Task[object], ours: int) -> int:
    """Take our own cancellations of a task back, and return how often it is cancelled besides."""
    for _ in range(ours):
        task.uncancel()
    return task.cancelling()
