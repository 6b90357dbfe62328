"""What is to be said of a configuration: whether a stack would start with it, and what it may not have been meant to say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from penstock_common.faults import Fault


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """``faults`` keep it from being used, ``warnings`` do not; each in the order of the file."""

    source: str
    """What to call the configuration."""
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    summary: str = ""
    """What it serves, where it can be used."""
    settings: dict[str, Any] | None = None
    """As they take effect, secrets masked; where they were asked for."""

    @property
    def is_good(self) -> bool:
        """Whether the configuration can be used."""
        return not self.faults


def in_order(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return the faults by line, of each setting those of whoever spoke of it first."""
    told: dict[tuple[str, str], set[str]] = {}
    kept: list[Fault] = []
    for fault in faults:
        said = told.setdefault((fault.key, fault.file), set())
        if fault.key and said:
            continue
        if fault.message not in said:
            kept.append(fault)
        said.add(fault.message)
    return tuple(sorted(kept, key=lambda fault: fault.line))
