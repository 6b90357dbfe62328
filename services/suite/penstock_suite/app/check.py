"""`penstock config check`: what every role would read, or what is wrong with it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from penstock_common.configuration import ConfigurationError
from penstock_suite import settings as suite
from penstock_suite.app.one_process import settings_types
from penstock_suite.app.plan import StackPlan, plan_of, read_document, triton_folders, unplanned
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.rendering import faults_of, masked, merged
from penstock_suite.domain.requests import Selection


def checked(selection: Selection) -> tuple[StackPlan, list[BaseModel]]:
    """Return the plan and every role's settings.

    Raises:
        ConfigurationError: if the file cannot be read.
        Misconfigured: with a line per fault, each once, whichever roles see it.
    """
    document, source = read_document(selection)
    faults: dict[str, None] = {}
    plan: StackPlan | None = None
    try:
        plan = plan_of(selection, document, source)
        configuration = plan.configuration()
    except ConfigurationError as error:
        faults.update(dict.fromkeys(faults_of(str(error), source)))
        configuration = unplanned(selection, document, source)
    found: list[BaseModel] = []
    for settings_type in settings_types(with_embedding="embedding" in document):
        try:
            found.append(configuration.settings(settings_type))
        except ConfigurationError as error:
            faults.update(dict.fromkeys(faults_of(str(error), source)))
    if faults or plan is None:
        raise Misconfigured(*(f"{source}: {fault}" for fault in faults))
    return plan, found


def effective_settings(selection: Selection) -> dict[str, Any]:
    """Return the sections as they take effect, in the file's usual order, secrets masked."""
    plan, found = checked(selection)
    sections: dict[str, Any] = {}
    for settings in (*found, plan.settings):
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
