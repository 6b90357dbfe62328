"""The longest silence within an answer, and who was silent.

Whoever reads an upstream notes in the attempt's step how long it waited after the first content, and how long whoever
takes the content let it wait. What the caller saw follows from the attempts of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from penstock_common.telemetry.steps import Step

FIRST_TOKEN = "time_to_first_token_ms"  # noqa: S105 - a token of text
LONGEST_SILENCE = "longest_silence_ms"
LONGEST_READING = "longest_reading_ms"
SILENT_AT_THE_END = "silent_at_the_end_ms"
"""From the last content of an attempt that failed to its end."""


class GapFrom(StrEnum):
    """Where a gap came from."""

    UPSTREAM = "upstream"
    """It sent nothing."""
    READER = "reader"
    """Nobody took what had come: the caller, or what stands before it, was slow."""
    RECOVERY = "recovery"
    """The answer broke off, and another attempt went on with it."""


class Gap(msgspec.Struct, frozen=True):
    """A gap between two pieces of content."""

    seconds: float
    came_from: GapFrom


def longest_gap(attempts: Sequence[Step]) -> Gap | None:
    """Return the longest gap in the answer of these attempts; None where it had none, as one that came in one piece."""
    longest: Gap | None = None
    before: Step | None = None
    for attempt in attempts:
        for gap in _gaps_of(attempt, before):
            if longest is None or gap.seconds > longest.seconds:
                longest = gap
        before = attempt
    return longest


def _gaps_of(attempt: Step, before: Step | None) -> list[Gap]:
    told = attempt.attributes
    gaps = [
        Gap(float(told[name]) / 1e3, came_from)
        for name, came_from in ((LONGEST_SILENCE, GapFrom.UPSTREAM), (LONGEST_READING, GapFrom.READER))
        if name in told
    ]
    if before is not None and SILENT_AT_THE_END in before.attributes and FIRST_TOKEN in told:
        between_ms = (attempt.start_ns - before.end_ns) / 1e6
        silent_ms = float(before.attributes[SILENT_AT_THE_END]) + between_ms + float(told[FIRST_TOKEN])
        gaps.append(Gap(silent_ms / 1e3, GapFrom.RECOVERY))
    return gaps
