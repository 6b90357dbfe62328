"""`penstock ingest`, put together."""

from __future__ import annotations

import typer

from penstock_suite.adapters.document_files import found_files
from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.surfaces.cli.ingest import ingest_command


def ingest(opened: OpenAdministration) -> typer.Typer:
    """Return the command."""
    return ingest_command(opened, found_files)
