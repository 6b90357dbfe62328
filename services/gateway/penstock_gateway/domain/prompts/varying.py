"""Prompts under experiment: a share of those who leave the version open gets another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from penstock_common.errors import ResourceNotFound, ResourceState, ServiceUnavailable
from penstock_gateway.domain.experiments.running import Assigned, Running
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.prompts.content import DEFAULT_LABEL, PromptReference
from penstock_gateway.domain.prompts.library import PromptLibrary, PromptStep, with_prompt

_OPEN = ("", DEFAULT_LABEL)
_HAS_NONE = (ResourceNotFound, ResourceState, ServiceUnavailable)


async def with_varied_prompt(
    call: Call[ChatOrder], library: PromptLibrary | None, running: Mapping[str, Running]
) -> tuple[Assigned | None, Call[ChatOrder], PromptStep]:
    """Return a request's part in the experiment on its prompt, and what ``with_prompt`` does for the version that it has.

    Raises:
        PenstockError: as ``with_prompt``.
    """
    assigned = None
    if library is not None and running:
        assigned, call = await _varied(call, library, running)
    return assigned, *await with_prompt(call, library)


async def _varied(
    call: Call[ChatOrder], library: PromptLibrary, running: Mapping[str, Running]
) -> tuple[Assigned | None, Call[ChatOrder]]:
    """Return the part, and the call with the version that its variant has.

    Who names a version, or another label than the default, has what they name. So has a tenant that lacks a version which
    any variant has: counted as control its requests would be others than those of the variants.
    """
    wanted = call.order.prompt
    assert wanted is not None, "asked for a call without a prompt"
    about = running.get(wanted.name)
    if about is None or wanted.version or wanted.label not in _OPEN:
        return None, call
    if not await _has_all(library, call.order.tenant, wanted.name, about.versions):
        return None, call
    assigned = about.assign(call)
    if assigned is None or not assigned.version:
        return assigned, call
    reference = msgspec.structs.replace(wanted, version=assigned.version, label="")
    return assigned, msgspec.structs.replace(call, order=msgspec.structs.replace(call.order, prompt=reference))


async def _has_all(library: PromptLibrary, tenant: str, name: str, versions: Sequence[int]) -> bool:
    try:
        for version in versions:
            await library.find(tenant, PromptReference(name=name, version=version))
    except _HAS_NONE:
        return False
    return True
