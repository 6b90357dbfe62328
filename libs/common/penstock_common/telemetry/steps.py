"""The steps of a request as cheap records, turned into spans only where someone looks.

A span costs as much CPU as half a hop between processes, so nothing on the hot
path makes one. A service notes its steps here and returns them in trailing
metadata; the gateway hangs them into its own and emits the tree at the end.
"""

from __future__ import annotations

import time
from contextlib import suppress
from types import TracebackType
from typing import Any

import msgspec

STEPS_KEY = "penstock-steps-bin"
ATTEMPT = "attempt"
"""What a step is called in which an upstream is asked."""

AttributeValue = str | int | float | bool
_NOTHING: dict[str, AttributeValue] = {}
"""Shared by all steps without attributes; nobody writes into it."""
_NO_STEPS: list[Step] = []
"""Shared by all steps that have ended without others within them; nobody writes into it."""


class Step(msgspec.Struct):
    """One step: wall-clock nanoseconds, attributes, steps within it."""

    name: str
    start_ns: int
    end_ns: int = 0
    error: str = ""
    attributes: dict[str, AttributeValue] = {}
    children: list[Step] = []

    @property
    def seconds(self) -> float:
        """How long the step took."""
        return (self.end_ns - self.start_ns) / 1e9


class Steps(msgspec.Struct, eq=False):
    """The steps of one request in one service, in the order they began; ``recorded`` may be a list of the caller's."""

    recorded: list[Step] = []
    _running: Step | None = None

    def next(self, name: str) -> Step:
        """Record a step that lasts until the next one, or until ``stop``: for what is done one after another."""
        now_ns = time.time_ns()
        if self._running is not None:
            self._running.end_ns = now_ns
        step = self._running = Step(name, now_ns, attributes=_NOTHING)
        self.recorded.append(step)
        return step

    def stop(self, error: str = "") -> None:
        """End the step that ``next`` has begun, if one runs; ``error`` says what ended it, where it did not end well."""
        running, self._running = self._running, None
        if running is not None:
            running.end_ns, running.error = time.time_ns(), error

    def step(self, name: str, **attributes: AttributeValue) -> RunningStep:
        """Return a context manager that records a step; an exception marks it failed."""
        return RunningStep(self.begin(name, **attributes))

    def begin(self, name: str, **attributes: AttributeValue) -> Step:
        """Record a step that the caller ends with ``end``."""
        step = Step(name=name, start_ns=time.time_ns(), attributes=attributes)
        self.recorded.append(step)
        return step

    def lap(self, name: str, began_ns: int, attributes: dict[str, AttributeValue] = _NOTHING) -> int:
        """Record a step that began at ``began_ns`` and ends now; return now, in wall-clock nanoseconds.

        The cheap form, for what either ends well or fails the request.
        """
        now_ns = time.time_ns()
        self.recorded.append(Step(name, began_ns, now_ns, "", attributes, _NO_STEPS))
        return now_ns

    def to_metadata(self) -> tuple[str, bytes]:
        """Return the trailing metadata entry that carries these steps."""
        return STEPS_KEY, _ENCODER.encode(self.recorded)


def end(step: Step, error: str = "") -> None:
    """End a step that ``Steps.begin`` recorded."""
    step.end_ns = time.time_ns()
    step.error = error


class RunningStep:
    """Ends its step on exit."""

    __slots__ = ("_step",)

    def __init__(self, step: Step) -> None:
        self._step = step

    def __enter__(self) -> Step:
        return self._step

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        end(self._step, "" if kind is None else kind.__name__)


def steps_from_metadata(metadata: Any) -> list[Step]:
    """Return the steps that a call brought back; none where it brought none, or what this version cannot read."""
    for key, value in metadata or ():
        if key == STEPS_KEY:
            with suppress(msgspec.DecodeError):
                return _DECODER.decode(value)
    return []


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Step])
