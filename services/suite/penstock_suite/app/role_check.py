"""`penstock config check --role`: what one role would read, or what is wrong with it. Its own package is enough."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.rpc.security import Security
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.rendering import faults_of, masked, merged
from penstock_suite.domain.requests import Role
from penstock_suite.settings import Document, RoleSettings


def role_settings(role: Role, config: Path) -> dict[str, Any]:
    """Return the sections that the role reads, as they take effect, secrets masked.

    Raises:
        ConfigurationError: if the file cannot be read, or has a section that nobody knows.
        Misconfigured: with a line per fault.
    """
    configuration = Configuration.load(config)
    document = Document.of(configuration)
    faults: dict[str, None] = {}
    sections: dict[str, Any] = {}
    for settings_type in (import_module(f"penstock_{role}.settings").Settings, RoleSettings):
        try:
            settings = configuration.settings(settings_type)
            if isinstance(settings, RoleSettings):
                _refuse_openness(role, settings)
        except ConfigurationError as error:
            faults.update(dict.fromkeys(faults_of(str(error), str(config))))
            continue
        sections = merged(sections, settings.model_dump(mode="json", exclude_none=True))
    if faults:
        raise Misconfigured(*(f"{config}: {fault}" for fault in faults))
    return {name: masked(sections[name]) for name in document if name in sections}


def _refuse_openness(role: Role, settings: RoleSettings) -> None:
    security = Security.of(settings.services, settings.secrets)
    security.refuse_open_bind(settings.services.listen_of(role), f"services.{role}.listen")
