"""What machines cost, and how much of them a request takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class UnitCosts(msgspec.Struct, frozen=True, kw_only=True):
    """In dollars. A month has 730 hours."""

    vcpu_hour: float = 0.04
    gpu_hour: float = 2.5
    redis_month: float = 50.0
    storage_gb_month: float = 0.12
    operations_month: float = 0.0
    """People, support, what else is paid whether many ask or few."""


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How machines are sized."""

    cpu_utilisation: float = 0.6
    """How busy vCPUs are in the busiest hour."""
    gpu_utilisation: float = 0.7
    gpu_streams: float = 16.0
    """Answers that one GPU makes at once."""
    row_bytes: float = 900.0
    """What a request takes in the database, indexes with it."""


CPU_OF_A_MISS: Mapping[str, float] = {
    "edge": 0.54e-3,
    "gateway": 2.97e-3,
    "router": 0.52e-3,
    "cache": 1.17e-3,
    "inference": 1.80e-3,
    "redis": 0.18e-3,
}
"""Seconds of CPU by role, for a stream of 100 tokens with a process for each role: bench/results/overhead_other_shapes.json."""
CPU_OF_A_HIT: Mapping[str, float] = {"edge": 0.17e-3, "gateway": 0.70e-3, "cache": 0.44e-3, "redis": 0.05e-3}
"""The same, for a request that the cache answers."""

_SHAPE, _MISS, _HIT = "six processes", "stream of 100 tokens", "exact hit"
_IN_FLIGHT = 16
_LEAST = 1e-6


class Cpu(msgspec.Struct, frozen=True):
    """Seconds of CPU that a request takes, by role: one that is answered by a model, and one by the cache."""

    miss: Mapping[str, float] = msgspec.field(default_factory=lambda: CPU_OF_A_MISS)
    hit: Mapping[str, float] = msgspec.field(default_factory=lambda: CPU_OF_A_HIT)


def cpu_of_bench(document: Mapping[str, Any], shape: str = _SHAPE) -> Cpu:
    """Return what a run of ``bench/overhead.py`` has measured of this checkout.

    Raises:
        ValueError: if it has not measured the shape.
    """
    found: dict[str, dict[str, float]] = {}
    for measured in document.get("shapes", []):
        for figure in measured.get("figures", []):
            is_ours = measured.get("shape") == shape and figure.get("side") == "here"
            if is_ours and figure.get("in_flight") == _IN_FLIGHT and "edge" in str(figure.get("row")):
                micros: Mapping[str, float] = figure.get("cpu_us_by_process", {})
                found[str(figure.get("case"))] = {
                    role: micro * 1e-6 for role, micro in micros.items() if micro * 1e-6 > _LEAST
                }
    if _MISS not in found:
        raise ValueError(f"there is no '{_MISS}' of '{shape}' in it")
    return Cpu(found[_MISS], found.get(_HIT, found[_MISS]))
