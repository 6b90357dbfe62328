"""Prompts as requests use them: looked up, kept ready in this process, and put before what a caller asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

import msgspec

from penstock_common.errors import (
    InvalidRequest,
    ResourceNotFound,
    ResourceState,
    ServiceUnavailable,
    UnsupportedParameter,
)
from penstock_common.llm.types import GenerationInput
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.prompts.content import DEFAULT_LABEL, PromptReference
from penstock_gateway.domain.prompts.names import may_be_label, may_be_prompt
from penstock_gateway.domain.prompts.records import PromptRecord, PromptStore
from penstock_gateway.domain.prompts.template import CompiledTemplate, before, with_defaults
from penstock_gateway.domain.prompts.values import nearest_hint

_MOST_SHOWN = 64
_NAMES_LOOKED_THROUGH = 500
_MAX_VERSION = 2**31 - 1

KeyT = TypeVar("KeyT")
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class LibraryTerms:
    """How long it is known where labels point to, and how many prompts and versions are kept ready."""

    label_age: timedelta = timedelta(seconds=1)
    kept: int = 1000


@dataclass(slots=True)
class _Known:
    """A prompt as it was found; None: there was none."""

    prompt: PromptRecord | None
    asked_at: float


class PromptLibrary:
    """Finds the version that a request names.

    Versions never change and are kept until others push them out. Where labels point to is asked again after
    ``label_age``; what was known last holds while one request asks, and while the database does not answer.
    """

    def __init__(
        self, store: PromptStore, terms: LibraryTerms | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        terms = terms or LibraryTerms()
        self._store = store
        self._label_age_s = terms.label_age.total_seconds()
        self._clock = clock
        self._prompts: _Recent[tuple[str, str], _Known] = _Recent(terms.kept)
        self._versions: _Recent[tuple[str, str, int], CompiledTemplate] = _Recent(terms.kept)

    async def find(self, tenant: str, wanted: PromptReference) -> tuple[PromptReference, CompiledTemplate]:
        """Return the reference with its version, and the version's template.

        Raises:
            InvalidRequest: if it says both a version and a label, or what can be neither.
            ResourceNotFound: if the tenant has no such prompt, version or label.
            ResourceState: if the prompt is archived.
            ServiceUnavailable: if the database does not answer, and nothing is known from before.
        """
        _check(wanted)
        prompt = await self._prompt(tenant, wanted.name)
        if prompt is None:
            raise await self._no_prompt(tenant, wanted.name)
        if prompt.archived_at is not None:
            raise ResourceState(f"The prompt '{prompt.name}' is archived.", kind="prompt", name=prompt.name)
        version = wanted.version or prompt.version_of(wanted.label or DEFAULT_LABEL)
        if not version:
            raise no_label(prompt, wanted.label or DEFAULT_LABEL)
        template = await self._version(prompt, version)
        return msgspec.structs.replace(wanted, version=version, label="", is_found=True), template

    async def newest_version(self, tenant: str, name: str) -> int:
        """Return the prompt's newest version, as it was known when labels were asked for last; 0 where there is no prompt.

        Raises:
            ServiceUnavailable: if the database does not answer, and nothing is known from before.
        """
        prompt = await self._prompt(tenant, name)
        return 0 if prompt is None else prompt.newest_version

    def forget(self, tenant: str, name: str) -> None:
        """Ask where the prompt's labels point to when it is named next: somebody has changed it here."""
        self._prompts.drop((tenant, name))

    async def _prompt(self, tenant: str, name: str) -> PromptRecord | None:
        key, now = (tenant, name), self._clock()
        known = self._prompts.get(key)
        if known is not None:
            if now - known.asked_at < self._label_age_s:
                return known.prompt
            # Others go on with what is known while this one asks.
            known.asked_at = now
        try:
            found = await self._store.prompt(tenant, name)
        except ServiceUnavailable:
            if known is None:
                raise
            return known.prompt
        self._prompts.put(key, _Known(found, now))
        return found

    async def _version(self, prompt: PromptRecord, version: int) -> CompiledTemplate:
        key = (prompt.tenant, prompt.name, version)
        template = self._versions.get(key)
        if template is None:
            record = await self._store.version(*key)
            if record is None:
                raise no_version(prompt, version)
            template = CompiledTemplate(record.template)
            self._versions.put(key, template)
        return template

    async def _no_prompt(self, tenant: str, name: str) -> ResourceNotFound:
        there = await self._store.prompts(tenant, "", _NAMES_LOOKED_THROUGH, with_archived=False)
        # Names that are much alike take a millisecond each.
        hint = await asyncio.to_thread(nearest_hint, name, [prompt.name for prompt in there])
        return ResourceNotFound(f"There is no prompt '{name}'.{hint}", kind="prompt", name=name)


class PromptStep:
    """An ``InputStep``: puts a template's messages before the caller's, with the values in their places."""

    name = "prompt.render"

    def __init__(self, template: CompiledTemplate) -> None:
        self._template = template

    async def apply(self, request: GenerationInput, call: Call[ChatOrder]) -> GenerationInput:
        """Return the input with the template's messages.

        Raises:
            InvalidRequest: if a variable's value is unknown, missing, of another type, or too long.
        """
        reference = call.order.prompt
        assert reference is not None, "a step of requests that name a prompt"
        return before(self._template.messages(reference.variables), request)


async def with_prompt(call: Call[ChatOrder], library: PromptLibrary | None) -> tuple[Call[ChatOrder], PromptStep]:
    """Return the call as the prompt that it names completes it, and the step that renders the prompt.

    The prompt's model and sampling hold where the caller says nothing; what the cache keeps has the prompt's tags.

    Raises:
        PenstockError: as ``PromptLibrary.find``.
    """
    order, wanted = call.order, call.order.prompt
    assert wanted is not None, "asked for a call without a prompt"
    if library is None:
        raise UnsupportedParameter("Prompts are not kept here.", parameter="prompt")
    reference, template = await library.find(order.tenant, wanted)
    asked = msgspec.structs.replace(
        order.input,
        model=order.input.model or template.model,
        sampling=with_defaults(order.input.sampling, template.sampling),
    )
    if not asked.model:
        raise InvalidRequest(
            f"input.model is missing: the prompt '{reference.shown}' names none, either.", field="input.model"
        )
    control = order.cache_control
    tags = dict.fromkeys((*control.tags, f"prompt:{reference.name}", f"prompt:{reference.shown}"))
    completed = msgspec.structs.replace(
        order, input=asked, prompt=reference, cache_control=msgspec.structs.replace(control, tags=tuple(tags))
    )
    return msgspec.structs.replace(call, order=completed), PromptStep(template)


def no_version(prompt: PromptRecord, version: int) -> ResourceNotFound:
    """Return what is said of a version that is not there."""
    message = f"The prompt '{prompt.name}' has no version {version}; its newest is {prompt.newest_version}."
    return ResourceNotFound(message, kind="prompt version", name=f"{prompt.name}@{version}")


def no_label(prompt: PromptRecord, label: str) -> ResourceNotFound:
    """Return what is said of a label that is not there."""
    there = ", ".join(known.label for known in prompt.labels)
    has = f"it has {there}" if there else "it has none"
    message = f"The prompt '{prompt.name}' has no label '{label}': {has}. Name a version, or set the label."
    return ResourceNotFound(message, kind="prompt label", name=f"{prompt.name}@{label}")


def _check(wanted: PromptReference) -> None:
    if not may_be_prompt(wanted.name):
        raise InvalidRequest("prompt.id must have 1 to 128 characters of A-Z a-z 0-9 . _ -", field="prompt.id")
    if wanted.version and wanted.label:
        raise InvalidRequest("prompt.label may only stand where there is no version.", field="prompt.label")
    if not 0 <= wanted.version <= _MAX_VERSION:
        raise InvalidRequest("prompt.version must be a whole number from 1.", field="prompt.version")
    if wanted.label and not may_be_label(wanted.label):
        shown = wanted.label[:_MOST_SHOWN]
        raise InvalidRequest(f"prompt.label: '{shown}' cannot be a label's name.", field="prompt.label")


class _Recent(Generic[KeyT, ItemT]):
    """The items that were used last, so many at most."""

    __slots__ = ("_items", "_most")

    def __init__(self, most: int) -> None:
        self._items: dict[KeyT, ItemT] = {}
        self._most = most

    def get(self, key: KeyT) -> ItemT | None:
        item = self._items.pop(key, None)
        if item is not None:
            self._items[key] = item
        return item

    def put(self, key: KeyT, item: ItemT) -> None:
        self._items.pop(key, None)
        self._items[key] = item
        if len(self._items) > self._most:
            del self._items[next(iter(self._items))]

    def drop(self, key: KeyT) -> None:
        self._items.pop(key, None)
