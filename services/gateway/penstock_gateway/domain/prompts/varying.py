"""Prompts under experiment: a share of those who leave the version open gets another."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from penstock_common.errors import InvalidRequest, ResourceNotFound, ResourceState, ServiceUnavailable
from penstock_gateway.domain.experiments.running import Assigned, Running
from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.prompts.content import DEFAULT_LABEL, PromptReference
from penstock_gateway.domain.prompts.library import PromptLibrary, PromptStep, with_prompt

_OPEN = ("", DEFAULT_LABEL)
_IS_NONE_FOR_IT = (InvalidRequest, ResourceNotFound, ResourceState, ServiceUnavailable)


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

    Who names a version, or another label than the default, has what they name. So has whom any version would refuse, as the
    tenant lacks it, their key may not use its model, or it takes other variables: those of a variant would have errors by
    the experiment alone, which no figure shows, and counted as control they would be others than those of the variants.
    """
    wanted = call.order.prompt
    assert wanted is not None, "asked for a call without a prompt"
    about = running.get(wanted.name)
    if about is None or wanted.version or wanted.label not in _OPEN:
        return None, call
    if not await _can_have_all(about, library, call, wanted):
        return None, call
    assigned = about.assign(call)
    if assigned is None or not assigned.version:
        return assigned, call
    reference = msgspec.structs.replace(wanted, version=assigned.version, label="")
    return assigned, msgspec.structs.replace(call, order=msgspec.structs.replace(call.order, prompt=reference))


async def _can_have_all(about: Running, library: PromptLibrary, call: Call[ChatOrder], wanted: PromptReference) -> bool:
    order, versions = call.order, about.versions
    try:
        if await library.newest_version(order.tenant, wanted.name) < max(versions):
            return False
        for version in versions:
            _, template = await library.find(order.tenant, PromptReference(name=wanted.name, version=version))
            model = order.input.model or template.model
            if not model or not call.caller.may_use(model):
                return False
            template.check(wanted.variables)
    except _IS_NONE_FOR_IT:
        return False
    return True
