"""`penstock config check`: what every role would read, or what is wrong with it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from penstock_common.configuration import ConfigurationError
from penstock_suite import settings as suite
from penstock_suite.app.one_process import SETTINGS_TYPES
from penstock_suite.app.plan import StackPlan, make_plan, triton_folders
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.rendering import faults_of, masked, merged
from penstock_suite.domain.requests import Selection


def check(plan: StackPlan) -> list[BaseModel]:
    """Return every role's settings.

    Raises:
        Misconfigured: with a line per fault, each once, whichever roles see it.
    """
    configuration = plan.configuration()
    found: list[BaseModel] = []
    faults: dict[str, None] = {}
    for settings_type in SETTINGS_TYPES:
        try:
            found.append(configuration.settings(settings_type))
        except ConfigurationError as error:
            faults.update(dict.fromkeys(faults_of(str(error), plan.source)))
    if faults:
        raise Misconfigured(*(f"{plan.source}: {fault}" for fault in faults))
    return found


def effective_settings(selection: Selection) -> dict[str, Any]:
    """Return the sections as they take effect, in the file's usual order, secrets masked."""
    plan = make_plan(selection)
    sections: dict[str, Any] = {}
    for settings in (*check(plan), plan.settings):
        sections = merged(sections, settings.model_dump(mode="json", exclude_none=True))
    sections["listen"] = plan.settings.listen.model_dump(mode="json", exclude_none=True)
    sections["state_dir"] = str(plan.state.root)
    folders = triton_folders(plan.settings.local)
    sections["local"] |= {
        "triton_environment": str(folders.environment),
        "triton_repository": str(folders.repository),
    }
    for upstream in sections["upstreams"]:
        if upstream["name"] in plan.settings.local_triton_models:
            # Chosen at each start; empty says so, also to who feeds this output back.
            upstream["grpc"] = ""
    return {name: masked(sections[name]) for name in suite.Document.model_fields if name in sections}
