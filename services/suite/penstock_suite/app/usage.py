"""`penstock usage`: what answers and what writes files."""

from __future__ import annotations

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.answers import Exported
from penstock_suite.domain.requests import ExportRequest, Selection
from penstock_suite.surfaces.cli import usage as surface
from penstock_suite.surfaces.cli.backup import ShowRows
from penstock_suite.surfaces.cli.output import run


def usage(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""

    def export(selection: Selection, wanted: ExportRequest, show: ShowRows) -> Exported:
        from penstock_suite.app.database import export_rows

        return run(export_rows(selection, wanted, show))

    return surface.usage(opened, export)
