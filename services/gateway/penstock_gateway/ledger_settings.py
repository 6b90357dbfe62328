"""What the gateway reads of the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from penstock_common.configuration import Duration, Section


class LedgerSettings(Section):
    """How the counters of spend are compared with the ledger."""

    drift_every: Annotated[Duration, Field(gt=timedelta())] = timedelta(minutes=1)
    """What lies between two looks; each asks the database once for each counter."""
    drift_counters: Annotated[int, Field(ge=0)] = 500
    """How many counters of spend are looked at, at most: budgets before others. 0: none, and nothing is told."""
