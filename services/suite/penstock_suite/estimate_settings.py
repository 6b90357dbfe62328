"""What machines cost and take, for `penstock estimate`: the section `estimate`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from penstock_common.configuration import RELOADED, Section

Usd = Annotated[float, Field(ge=0, le=1e9)]
Share = Annotated[float, Field(gt=0, le=1)]


class EstimateSettings(Section):
    """What machines cost and take, for `penstock estimate`, whose options go before it; in US dollars."""

    vcpu_hour: Usd = 0.04
    """A vCPU for an hour."""
    gpu_hour: Usd = 2.5
    """A GPU for an hour."""
    redis_month: Usd = 50.0
    """Redis for a month."""
    storage_gb_month: Usd = 0.12
    """A gigabyte of the database for a month."""
    operations_month: Usd = 0.0
    """What is paid in a month whether many ask or few: people, support."""
    cpu_utilisation: Share = 0.6
    """How busy vCPUs are to be in the busiest hour."""
    gpu_utilisation: Share = 0.7
    """How busy GPUs are to be in the busiest hour."""
    gpu_streams: Annotated[float, Field(gt=0, le=100_000)] = 16.0
    """Answers that one GPU makes at once."""
    row_bytes: Annotated[float, Field(ge=0, le=1_000_000)] = 900.0
    """What a request takes in the database, indexes with it."""


class EstimateSection(Section):
    """Where it stands in the file."""

    estimate: Annotated[EstimateSettings, RELOADED] = EstimateSettings()
