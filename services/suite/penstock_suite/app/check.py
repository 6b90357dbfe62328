"""`penstock config check`: what every role, or one, would read, or what is wrong with it. Nothing is loaded to run."""

from __future__ import annotations

import re
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_suite.app.plan import StackPlan, plan_of, read_document, triton_folders, unplanned
from penstock_suite.domain.failure import Misconfigured, SuiteFailure
from penstock_suite.domain.rendering import faults_of, masked, merged
from penstock_suite.domain.requests import Role, Selection
from penstock_suite.settings import Document, RoleSettings

_DISTRIBUTION = re.compile(r"[A-Za-z0-9._-]+")


def checked(selection: Selection) -> tuple[StackPlan, list[BaseModel]]:
    """Return the plan and every role's settings.

    Raises:
        ConfigurationError: if the file cannot be read.
        Misconfigured: with a line per fault, each once, whichever roles see it.
        SuiteFailure: if a package that a role needs is not installed.
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
    for role in (Role.GATEWAY, Role.ROUTER, Role.CACHE, Role.INFERENCE, *_optional(document)):
        try:
            found.append(configuration.settings(settings_type(role)))
        except ConfigurationError as error:
            faults.update(dict.fromkeys(faults_of(str(error), source)))
    if faults or plan is None:
        raise Misconfigured(*(f"{source}: {fault}" for fault in faults))
    return plan, found


def _optional(document: dict[str, Any]) -> list[Role]:
    return [Role.EMBEDDING] if "embedding" in document else []


def settings_type(role: Role) -> type[BaseModel]:
    """Return what a role reads of the configuration.

    Raises:
        SuiteFailure: if it could not start: its package, or one that it needs, is not installed.
    """
    package = f"penstock_{role}"
    if missing := missing_packages(package):
        raise SuiteFailure(f"the {role} needs {', '.join(missing)}, which this Python does not have: install it")
    # A role has its own package alone: the others' libraries may not even be there.
    settings: type[BaseModel] = import_module(f"{package}.settings").Settings
    return settings


def missing_packages(package: str) -> list[str]:
    """Return the distributions that ``package`` needs, itself included, and that are not installed.

    A package without a distribution, as in a checkout on the path, is not looked at.
    """
    try:
        required = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []
    # Those of extras and of other platforms stand behind a marker.
    named = [_DISTRIBUTION.match(requirement) for requirement in required if ";" not in requirement]
    return [found[0] for found in named if found is not None and not _is_installed(found[0])]


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


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
    return {name: masked(sections[name]) for name in Document.model_fields if name in sections}


def role_settings(role: Role, config: Path) -> dict[str, Any]:
    """Return the sections that the role reads, as they take effect, secrets masked. Its own package is enough.

    Raises:
        ConfigurationError: if the file cannot be read, or has a section that nobody knows.
        Misconfigured: with a line per fault.
        SuiteFailure: if a package that the role needs is not installed.
    """
    configuration = Configuration.load(config)
    document = Document.of(configuration)
    faults: dict[str, None] = {}
    sections: dict[str, Any] = {}
    for settings_read in (settings_type(role), RoleSettings):
        try:
            settings = configuration.settings(settings_read)
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
    # gRPC is what certificates are read into, and no other check needs it.
    from penstock_common.rpc.security import Security

    security = Security.of(settings.services, settings.secrets)
    security.refuse_open_bind(settings.services.listen_of(role), f"services.{role}.listen")
