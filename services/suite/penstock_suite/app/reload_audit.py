"""A reload's entry in the audit log, where the process may reach the database."""

from __future__ import annotations

import structlog

from penstock_common.configuration import Configuration
from penstock_suite.domain.reload import Outcome, Reload

_log = structlog.get_logger(__name__)

_OK = "ok"
_REFUSED = "configuration_refused"


async def note_in_audit_log(configuration: Configuration, outcome: Reload) -> None:
    """Note a reload; where the database is away the reload stands, and the log says so."""
    # Other roles reload, too, and have neither the gateway's package nor its database.
    from penstock_gateway.app.administration import note_reload
    from penstock_gateway.settings import Settings

    details = {
        "before": outcome.revision_before,
        "added": " ".join(outcome.added),
        "removed": " ".join(outcome.removed),
        "changed": " ".join(outcome.changed),
        "problems": "; ".join(process.name for process in outcome.processes if process.problem),
    }
    told = _REFUSED if outcome.outcome is Outcome.REFUSED else _OK
    try:
        await note_reload(configuration.settings(Settings), outcome.revision, told, details)
    except Exception as error:
        _log.warning("reload_not_audited", reason=str(error))
