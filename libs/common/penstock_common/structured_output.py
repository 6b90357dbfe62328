"""What the configuration says of answers that are to be JSON."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from penstock_common.configuration import Section


class StructuredOutputSettings(Section):
    """How answers of a public model are checked against the schema that a request asks for."""

    repairs: Annotated[int, Field(ge=0, le=5)] = 2
    """How often at most an answer that is not valid is asked for again, first of the same candidate, then of others; 0: it is
    checked, and what comes is given. All that was asked is billed."""
