"""`penstock estimate`: what answers, and what knows prices."""

from __future__ import annotations

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.requests import Selection
from penstock_suite.surfaces.cli import estimate as surface


def estimate(opened: OpenAdministration) -> typer.Typer:
    """Return the command."""

    def prices(selection: Selection, name: str) -> tuple[float, float]:
        from penstock_suite.app.model_sheets import prices_of

        return prices_of(selection, name)

    return surface.estimate(opened, prices)
