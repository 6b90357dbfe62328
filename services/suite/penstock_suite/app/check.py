"""Whether a configuration can be used, by every role or one: what `penstock config check` tells, and `up` asks first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.datasheet.described import described
from penstock_common.datasheet.files import datasheet_of
from penstock_common.faults import Fault, KeyPath, dotted, nearest
from penstock_common.sections import DEFAULT_EMBEDDING_MODEL
from penstock_suite.app.plan import StackPlan, known_part, load, plan_of, triton_folders, unplanned
from penstock_suite.app.resources import (
    missing_credentials,
    missing_embedding_model,
    missing_resources,
    unusable_certificate,
)
from penstock_suite.domain.contradictions import (
    asks_for_a_key,
    contradictions,
    doubts,
    missing_keys,
    needs_a_key,
    needs_a_server,
    unknown_base_models,
    unpriced,
)
from penstock_suite.domain.failure import Misconfigured, SuiteFailure
from penstock_suite.domain.rendering import masked, merged, referred
from penstock_suite.domain.requests import Role, Selection
from penstock_suite.domain.verdict import Verdict, in_order
from penstock_suite.settings import Document, RoleSettings, Settings

_DISTRIBUTION = re.compile(r"[A-Za-z0-9._-]+")
_ONE_PROCESS = (
    "it says where roles are that run by themselves, as 'penstock serve' does; "
    "'penstock up' runs every role in one process: leave the section out"
)


@dataclass(slots=True)
class _Check:
    """A configuration, and what was found in it so far."""

    configuration: Configuration
    faults: list[Fault] = field(default_factory=list[Fault])
    warnings: list[Fault] = field(default_factory=list[Fault])
    read: list[BaseModel] = field(default_factory=list[BaseModel])
    """What each role reads."""

    def note(self, found: Iterable[tuple[KeyPath, str]]) -> None:
        """Add faults by their keys."""
        self.faults += self._told(found)

    def doubt(self, found: Iterable[tuple[KeyPath, str]]) -> None:
        """Add warnings by their keys."""
        self.warnings += self._told(found)

    def settings(self, configuration: Configuration, *wanted: type[BaseModel]) -> None:
        """Read settings, and add what is wrong with them."""
        for settings_read in wanted:
            try:
                self.read.append(configuration.settings(settings_read))
            except ConfigurationError as error:
                self.faults += error.faults

    def verdict(self) -> Verdict:
        """Return what was found."""
        return Verdict(source=self.configuration.source, faults=in_order(self.faults), warnings=in_order(self.warnings))

    def _told(self, found: Iterable[tuple[KeyPath, str]]) -> Iterator[Fault]:

        for path, text in found:
            yield self.configuration.fault(path, f"'{dotted(path)}': {text}" if path else text)


@dataclass(frozen=True, slots=True)
class Checked:
    """A configuration that a stack can run with: its plan, what may not have been meant, and what each role reads of it."""

    plan: StackPlan
    warnings: tuple[Fault, ...]
    read: tuple[BaseModel, ...]

    def read_again(self) -> Checked:
        """Return the same with the stack's own keys, which are there once it has started."""
        full = self.plan.configuration()
        read = (one if isinstance(one, Settings) else full.settings(type(one)) for one in self.read)
        return replace(self, read=tuple(read))


def checked(selection: Selection) -> Checked:
    """Return what a stack is to run with.

    Raises:
        ConfigurationError: if the file cannot be read.
        Misconfigured: with a line per fault, each once, whichever roles see it.
        SuiteFailure: if a package that a role needs is not installed.
    """
    check, plan = _looked_at(selection, load(selection))
    if "services" in check.configuration.document:
        check.note([(("services",), _ONE_PROCESS)])
    verdict = check.verdict()
    if plan is None or not verdict.is_good:
        raise Misconfigured(*map(str, verdict.faults))
    return Checked(plan, verdict.warnings, tuple(check.read))


def _looked_at(selection: Selection, written: Configuration) -> tuple[_Check, StackPlan | None]:
    """Return what one process would find in a configuration, and the plan if there is one."""
    check = _Check(written)
    _note_unknown_sections(check)
    configuration = known_part(selection, written)
    plan: StackPlan | None = None
    try:
        plan = plan_of(selection, configuration)
        full = plan.configuration()
        check.note(missing_resources(plan))
    except ConfigurationError as error:
        check.faults += error.faults
        full = unplanned(selection, configuration)
    except Misconfigured as error:
        check.faults += [Fault(fault, file=written.source) for fault in error.faults]
        full = unplanned(selection, configuration)
    document = dict(configuration.document)
    roles = (Role.CACHE, Role.INFERENCE, *_optional(document), Role.GATEWAY, Role.ROUTER)
    check.settings(full, *map(settings_type, roles))
    _note_contradictions(check, document)
    if plan is not None:
        check.note(missing_credentials(check.read))
        check.read.append(plan.settings)
    return check, plan


def _note_unknown_sections(check: _Check) -> None:
    known = set(Document.model_fields)
    for name in check.configuration.document:
        if name not in known:
            check.faults.append(
                check.configuration.fault((name,), f"unknown section '{name}'{nearest(str(name), known)}")
            )


def _note_contradictions(check: _Check, document: dict[str, Any]) -> None:
    known = datasheet_of(check.configuration).all_names
    check.note((*contradictions(document), *_empty_keys(check.read)))
    check.doubt(doubts(document, known))
    check.note(missing_embedding_model(document.get("embedding")))


def _empty_keys(read: Iterable[Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the keys that a reference has left empty."""
    for settings in read:
        for index, upstream in enumerate(getattr(settings, "upstreams", ())):
            key = getattr(upstream, "api_key", None)
            if key is None or key.get_secret_value() or getattr(upstream, "api_keys", ()):
                continue
            said = {name: getattr(upstream, name, None) for name in ("name", "provider", "base_url", "base_urls")}
            if asks_for_a_key(said):
                yield ("upstreams", index, "api_key"), needs_a_key(said)


def _optional(document: dict[str, Any]) -> list[Role]:
    return [Role.EMBEDDING] if "embedding" in document else []


def settings_type(role: Role) -> type[BaseModel]:
    """Return what a role reads of the configuration.

    Raises:
        SuiteFailure: if it could not start: its package, or one that it needs, is not installed.
    """
    package = role.package
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


def verdict(selection: Selection, role: Role | None = None, *, show: bool = False) -> Verdict:
    """Return what is to be said of a configuration, with its settings if they are to be shown; never raises for it.

    Raises:
        SuiteFailure: if a package that a role needs is not installed.
    """
    source = str(selection.config or "the packaged configuration")
    try:
        written = load(selection)
        if role is not None:
            return _of_roles(written, [role], show=show)
        if "services" in written.document:
            return _of_roles(written, list(Role), show=show)
        return _of_stack(selection, written, show=show)
    except ConfigurationError as error:
        return Verdict(source=source, faults=in_order(error.faults))
    except Misconfigured as error:
        return Verdict(source=source, faults=tuple(Fault(fault) for fault in error.faults))


def _of_stack(selection: Selection, written: Configuration, *, show: bool) -> Verdict:
    check, plan = _looked_at(selection, written)
    found = check.verdict()
    if plan is None or not found.is_good:
        return found
    settings = _shown(plan, check.read) if show else None
    return _replaced(found, _summary(plan.settings), settings)


def _summary(settings: Settings) -> str:
    models = [model.name for model in settings.models]
    if settings.embedding is not None:
        models.append(str(settings.embedding.get("model", DEFAULT_EMBEDDING_MODEL)))
    listen = settings.listen
    return f"it serves {', '.join(models)} at {listen.http} (gRPC {listen.grpc})"


def _replaced(found: Verdict, summary: str, settings: dict[str, Any] | None) -> Verdict:
    return Verdict(source=found.source, warnings=found.warnings, summary=summary, settings=settings)


def _shown(plan: StackPlan, read: list[BaseModel]) -> dict[str, Any]:
    sections: dict[str, Any] = {}
    for settings in read:
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
    return {name: referred(masked(sections[name])) for name in Document.model_fields if name in sections}


def checked_role(role: Role, config: Path) -> Configuration:
    """Return the configuration of a role that is a process of its own. Its own package is enough.

    Raises:
        ConfigurationError, Misconfigured, SuiteFailure: as ``role_settings``.
    """
    configuration = described(Configuration.load(config))
    found = _of_roles(configuration, [role], show=False)
    if not found.is_good:
        raise Misconfigured(*map(str, found.faults))
    return configuration


def role_settings(role: Role, config: Path) -> dict[str, Any]:
    """Return the sections that the role reads, as they take effect, secrets masked. Its own package is enough.

    Raises:
        ConfigurationError: if the file cannot be read.
        Misconfigured: with a line per fault.
        SuiteFailure: if a package that the role needs is not installed.
    """
    found = _of_roles(described(Configuration.load(config)), [role], show=True)
    if not found.is_good:
        raise Misconfigured(*map(str, found.faults))
    return found.settings or {}


def _of_roles(written: Configuration, roles: list[Role], *, show: bool) -> Verdict:
    """Return what processes of these roles would find."""
    check = _Check(written)
    _note_unknown_sections(check)
    document = Document.known_of(written)
    configuration = written.with_document(document)
    for role in roles:
        if role is not Role.EMBEDDING or "embedding" in document or len(roles) == 1:
            check.settings(configuration, settings_type(role))
    common = len(check.read)
    check.settings(configuration, RoleSettings)
    if len(check.read) > common and isinstance(settings := check.read[-1], RoleSettings):
        for role in roles:
            _refuse_openness(check, role, settings)
        if Role.GATEWAY in roles and settings.listen.tls is not None:
            check.note(unusable_certificate(settings.listen.tls))
    _note_of_roles(check, roles, document)
    found = check.verdict()
    if not found.is_good:
        return found
    sections: dict[str, Any] = {}
    for settings in check.read:
        sections = merged(sections, settings.model_dump(mode="json", exclude_none=True))
    shown = {name: referred(masked(sections[name])) for name in document if name in sections}
    summary = f"{'these roles' if len(roles) > 1 else f'the {roles[0]}'} can be served with it"
    return _replaced(found, summary, shown if show else None)


def _note_of_roles(check: _Check, roles: list[Role], document: dict[str, Any]) -> None:
    if Role.CACHE in roles:
        check.note(needs_a_server(document))
    if len(roles) > 1:
        _note_contradictions(check, document)
    elif roles == [Role.INFERENCE]:
        known = datasheet_of(check.configuration).all_names
        check.note((*missing_keys(document), *_empty_keys(check.read)))
        check.doubt((*unknown_base_models(document, known), *unpriced(document, known)))


def _refuse_openness(check: _Check, role: Role, settings: RoleSettings) -> None:
    # gRPC is what certificates are read into, and no other check needs it.
    from penstock_common.rpc.security import Security

    try:
        security = Security.of(settings.services, settings.secrets)
        security.refuse_open_bind(settings.services.listen_of(role), f"services.{role}.listen")
    except ConfigurationError as error:
        path = ("services", str(role), "listen")
        check.faults += [check.configuration.fault(path, fault.message) for fault in error.faults]
