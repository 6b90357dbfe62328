"""Making versions of prompts, having labels point to them, and taking prompts out of use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from penstock_common.errors import InvalidRequest, ResourceNotFound, ResourceState
from penstock_common.llm.types import Message
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, Now, utc_now
from penstock_gateway.domain.administration.paging import Listing, Page, listing
from penstock_gateway.domain.administration.registry import Records, Registry
from penstock_gateway.domain.administration.tenants import existing_tenant
from penstock_gateway.domain.prompts.content import DEFAULT_LABEL, Template
from penstock_gateway.domain.prompts.difference import difference
from penstock_gateway.domain.prompts.library import no_label, no_version
from penstock_gateway.domain.prompts.names import label_name, may_be_label, may_be_prompt, prompt_name
from penstock_gateway.domain.prompts.records import LabelRecord, PromptRecord, VersionRecord
from penstock_gateway.domain.prompts.template import CompiledTemplate, check_template

MAX_LABELS = 32
"""Of one prompt."""
MAX_EARLIER = 32
"""Versions that a label can be rolled back to, one after the other."""
_KIND = "prompt"
_MOST_SHOWN = 128

Changed = Callable[[str, str], None]
"""Called with the tenant and the name of a prompt that has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """What a new version shall be, and which labels shall point to it at once."""

    template: Template
    note: str = ""
    labels: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A version by its number, or by a label where that is 0; ``production`` where there is neither."""

    name: str
    version: int = 0
    label: str = ""
    variables: Mapping[str, object] = field(default_factory=dict[str, object])


def nobody_listens(_tenant: str, _name: str) -> None:
    """Stand for who wants to know of changes where no gateway runs."""


class PromptAdministration:
    """Keeps prompts. One of another tenant is, for a tenant's own key, one that does not exist."""

    def __init__(
        self,
        directory: TenantDirectory,
        registry: Registry,
        changed: Changed = nobody_listens,
        now: Now = utc_now,
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._changed = changed
        self._now = now
        self._audit = AuditLog(registry, now)

    async def create_version(self, actor: Actor, tenant: str, name: str, wanted: NewVersion) -> VersionRecord:
        """Return the new version: the first of a new prompt, or the next of one that is there, archived or not.

        Raises:
            InvalidRequest: if the template cannot be one.
            ModelNotFound: if there is no such model.
        """
        meant = tenant or actor.tenant
        details = {"labels": " ".join(wanted.labels)}
        async with self._audit.changing(Deed(actor, "prompt.create_version", meant, name, details)) as records:
            owner = bounds.required_tenant(actor.meant(tenant))
            prompt_name(name)
            self._check(actor, wanted)
            await existing_tenant(self._directory, records, owner)
            now = self._now()
            record = VersionRecord(
                tenant=owner,
                name=name,
                version=await records.prompts.next_version(owner, name, now),
                template=wanted.template,
                note=bounds.note(wanted.note),
                created_at=now,
                created_by=actor.user_id or actor.key_id,
            )
            await records.prompts.add_version(record)
            details["version"] = str(record.version)
            if wanted.labels:
                await self._point(records, record, wanted.labels)
        self._changed(owner, name)
        return record

    async def get(self, actor: Actor, tenant: str, name: str) -> PromptRecord:
        """Return the prompt.

        Raises:
            ResourceNotFound: if the tenant has none of this name.
        """
        owner = bounds.required_tenant(actor.meant(tenant))
        async with self._registry.begin() as records:
            return await _prompt(records, owner, name)

    async def version(self, actor: Actor, tenant: str, named: Named) -> VersionRecord:
        """Return a version.

        Raises:
            ResourceNotFound: if there is no such prompt, version or label.
        """
        owner = bounds.required_tenant(actor.meant(tenant))
        async with self._registry.begin() as records:
            return await _version(records, await _prompt(records, owner, named.name), named)

    async def list(self, actor: Actor, tenant: str, page: Page, *, with_archived: bool) -> Listing[PromptRecord]:
        """Return the tenant's prompts, by name."""
        owner = bounds.required_tenant(actor.meant(tenant))
        async with self._registry.begin() as records:
            found = await records.prompts.prompts(owner, page.after, page.size + 1, with_archived=with_archived)
        return listing(found, page, lambda prompt: prompt.name)

    async def versions(self, actor: Actor, tenant: str, name: str, page: Page) -> Listing[VersionRecord]:
        """Return the versions of a prompt, the newest first."""
        owner = bounds.required_tenant(actor.meant(tenant))
        async with self._registry.begin() as records:
            await _prompt(records, owner, name)
            found = await records.prompts.versions(owner, name, page.before_id(), page.size + 1)
        return listing(found, page, lambda record: str(record.version))

    async def diff(self, actor: Actor, tenant: str, name: str, between: tuple[int, int]) -> str:
        """Return what differs between two versions, as a unified diff; empty where they say the same."""
        owner = bounds.required_tenant(actor.meant(tenant))
        async with self._registry.begin() as records:
            prompt = await _prompt(records, owner, name)
            old, new = [await _version(records, prompt, Named(name=name, version=number)) for number in between]
        return difference(old, new)

    async def render(self, actor: Actor, tenant: str, named: Named) -> tuple[VersionRecord, tuple[Message, ...]]:
        """Return a version, and its messages with the variables in their places; nobody is asked for an answer.

        Raises:
            InvalidRequest: if a variable's value is unknown, missing, of another type, or too long.
        """
        record = await self.version(actor, tenant, named)
        return record, CompiledTemplate(record.template).messages(named.variables)

    async def set_label(self, actor: Actor, tenant: str, named: Named) -> PromptRecord:
        """Return the prompt, whose label points to the version from now on."""
        meant, name = tenant or actor.tenant, named.name
        details = {"label": named.label, "version": str(named.version)}
        async with self._audit.changing(Deed(actor, "prompt.set_label", meant, name, details)) as records:
            owner = bounds.required_tenant(actor.meant(tenant))
            prompt = await _held(records, owner, name)
            record = await _version(records, prompt, Named(name=name, version=_numbered(named.version)))
            await self._point(records, record, (named.label,))
            changed = await _prompt(records, owner, name)
        self._changed(owner, name)
        return changed

    async def roll_back(self, actor: Actor, tenant: str, name: str, label: str) -> PromptRecord:
        """Return the prompt, whose label points to where it pointed before.

        Raises:
            ResourceState: if it never pointed elsewhere.
        """
        meant = tenant or actor.tenant
        details = {"label": label}
        async with self._audit.changing(Deed(actor, "prompt.roll_back", meant, name, details)) as records:
            owner = bounds.required_tenant(actor.meant(tenant))
            prompt = await _held(records, owner, name)
            pointing = next((known for known in prompt.labels if known.label == label), None)
            if pointing is None:
                raise no_label(prompt, label[:_MOST_SHOWN])
            if not pointing.earlier:
                raise ResourceState(
                    f"The label '{label}' of '{name}' has pointed to version {pointing.version} alone.",
                    kind="prompt label",
                    name=f"{name}@{label}",
                )
            *earlier, version = pointing.earlier
            await records.prompts.set_label(owner, name, LabelRecord(label, version, tuple(earlier)))
            details["version"] = str(version)
            changed = await _prompt(records, owner, name)
        self._changed(owner, name)
        return changed

    async def archive(self, actor: Actor, tenant: str, name: str) -> PromptRecord:
        """Return the prompt, which nobody uses from now on; its versions stay, and a new one brings it back."""
        async with self._audit.changing(Deed(actor, "prompt.archive", tenant or actor.tenant, name)) as records:
            owner = bounds.required_tenant(actor.meant(tenant))
            await _held(records, owner, name)
            await records.prompts.archive(owner, name, self._now())
            archived = await _prompt(records, owner, name)
        self._changed(owner, name)
        return archived

    def _check(self, actor: Actor, wanted: NewVersion) -> None:
        check_template(wanted.template)
        if wanted.template.model:
            # Whose own key names models learns of no other whether it exists.
            known = actor.models or self._directory.models
            bounds.known_models((wanted.template.model,), known, may_see_all=True)

    async def _point(self, records: Records, record: VersionRecord, labels: Sequence[str]) -> None:
        prompt = await _prompt(records, record.tenant, record.name)
        pointing = {known.label: known for known in prompt.labels}
        for label in dict.fromkeys(labels):
            before = pointing.get(label_name(label))
            if before is not None and before.version == record.version:
                continue
            earlier = () if before is None else (*before.earlier, before.version)[-MAX_EARLIER:]
            pointing[label] = LabelRecord(label, record.version, earlier)
            if len(pointing) > MAX_LABELS:
                raise InvalidRequest(f"A prompt may have at most {MAX_LABELS} labels.", field="label")
            await records.prompts.set_label(record.tenant, record.name, pointing[label])


async def _prompt(records: Records, tenant: str, name: str) -> PromptRecord:
    return _found(await records.prompts.prompt(tenant, name) if may_be_prompt(name) else None, name)


async def _held(records: Records, tenant: str, name: str) -> PromptRecord:
    prompt = _found(await records.prompts.hold(tenant, name) if may_be_prompt(name) else None, name)
    if prompt.archived_at is not None:
        raise ResourceState(f"The prompt '{name}' is archived: a new version brings it back.", kind=_KIND, name=name)
    return prompt


def _found(prompt: PromptRecord | None, name: str) -> PromptRecord:
    if prompt is None:
        raise ResourceNotFound(f"There is no prompt '{name[:_MOST_SHOWN]}'.", kind=_KIND, name=name)
    return prompt


async def _version(records: Records, prompt: PromptRecord, named: Named) -> VersionRecord:
    label = named.label or DEFAULT_LABEL
    version = named.version or prompt.version_of(label)
    if not version:
        raise no_label(prompt, label if may_be_label(label) else label[:_MOST_SHOWN])
    record = await records.prompts.version(prompt.tenant, prompt.name, version)
    if record is None:
        raise no_version(prompt, version)
    return record


def _numbered(version: int) -> int:
    if version < 1:
        raise InvalidRequest("version must say which version the label is to point to.", field="version")
    return version
