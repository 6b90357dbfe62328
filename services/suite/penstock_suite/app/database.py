"""`penstock db`: the gateway's schema."""

from __future__ import annotations

from pathlib import Path

import penstock_gateway.settings
from penstock_common.configuration import Configuration
from penstock_gateway.app.administration import upgrade_schema
from penstock_suite.domain.failure import SuiteFailure


async def upgrade_database(config: Path) -> None:
    """Bring the schema to the newest version; several at once wait for each other.

    Of the configuration it needs the database's address and no other secret.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        SuiteFailure: if the database does not answer, or refuses.
    """
    settings = Configuration.load(config).settings(penstock_gateway.settings.StorageSettings)
    try:
        await upgrade_schema(settings)
    except OSError as error:
        raise SuiteFailure(str(error)) from error
