"""How long the ledger and the audit log are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from penstock_common.configuration import Duration, Section


def _at_least_a_day(value: timedelta) -> timedelta:
    if value < timedelta(days=1):
        raise PydanticCustomError("duration", "at least 1d is expected")
    return value


Age = Annotated[Duration, AfterValidator(_at_least_a_day)]


class RetentionSettings(Section):
    """How long rows are kept; unset means for good."""

    ledger: Age | None = None
    """Age at which a request's row goes, such as 400d."""
    audit: Age | None = None
    """Age at which an entry of the audit log goes."""
    export_first: bool = True
    """Whether rows stay that neither 'penstock usage export' nor 'penstock audit export' has taken."""
    every: Annotated[Duration, Field(gt=timedelta())] = timedelta(hours=1)
    """What lies between two looks for old rows."""
