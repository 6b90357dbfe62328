"""`penstock estimate`: what answers, and what knows prices."""

from __future__ import annotations

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.estimate.costs import Sizes, UnitCosts
from penstock_suite.domain.requests import Selection
from penstock_suite.surfaces.cli import estimate as surface


def estimate(opened: OpenAdministration) -> typer.Typer:
    """Return the command."""

    def prices(selection: Selection, name: str) -> tuple[float, float]:
        from penstock_suite.app.model_sheets import prices_of

        return prices_of(selection, name)

    def configured(selection: Selection) -> tuple[UnitCosts, Sizes]:
        from penstock_suite.app.plan import load_alone
        from penstock_suite.estimate_settings import EstimateSection

        said = load_alone(selection).settings(EstimateSection).estimate
        return (
            UnitCosts(**{name: getattr(said, name) for name in UnitCosts.__struct_fields__}),
            Sizes(**{name: getattr(said, name) for name in Sizes.__struct_fields__}),
        )

    return surface.estimate(opened, surface.Known(prices, configured))
