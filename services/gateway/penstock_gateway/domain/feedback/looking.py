"""Looking at feedback, summing it up, and erasing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from penstock_common.errors import InvalidRequest, ModelNotPermitted
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed
from penstock_gateway.domain.administration.paging import Listing, Page, listing
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.feedback.judgement import Feedback, named_answer
from penstock_gateway.domain.feedback.ports import FeedbackStore, Wanted
from penstock_gateway.domain.feedback.summary import Dimension, Summary

MAX_SUMMARIES = 1000


@dataclass(frozen=True, slots=True)
class Summaries:
    """Lines of a summary; ``is_cut`` where there are more."""

    lines: list[Summary]
    is_cut: bool = False


class FeedbackAdministration:
    """Shows, sums up and erases feedback; what shows content or erases leaves its entry in the audit log."""

    def __init__(self, store: FeedbackStore, registry: Registry) -> None:
        self._store = store
        self._audit = AuditLog(registry)

    async def list(self, actor: Actor, wanted: Wanted, page: Page, *, with_content: bool) -> Listing[Feedback]:
        """Return a page of feedback, the newest first; without content, corrections and comments are empty.

        Raises:
            ModelNotPermitted: if the actor's own key may not use the model.
        """
        meant, before = _meant(actor, wanted), page.before_id()
        if not with_content:
            found = await self._store.list(meant, before, page.size + 1)
            return listing([_without_content(one) for one in found], page, _end)
        async with self._audit.changing(_deed(actor, "feedback.list", wanted)):
            return listing(await self._store.list(meant, before, page.size + 1), page, _end)

    async def summarize(self, actor: Actor, wanted: Wanted, by: Sequence[Dimension]) -> Summaries:
        """Return a line for each group, of what each author said last of each answer.

        Raises:
            InvalidRequest: if the time is none.
            ModelNotPermitted: if the actor's own key may not use the model.
        """
        if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
            raise InvalidRequest("until must be after since.", field="until")
        meant = _meant(actor, wanted)
        lines = await self._store.summarize(meant, tuple(dict.fromkeys(by)), MAX_SUMMARIES + 1)
        return Summaries(lines[:MAX_SUMMARIES], len(lines) > MAX_SUMMARIES)

    async def delete(self, actor: Actor, wanted: Wanted, *, everything: bool) -> int:
        """Erase what a user said, what was said of an answer, or all of a tenant's; return how much that was.

        Raises:
            InvalidRequest: unless exactly one of them is meant.
            ModelNotPermitted: if the actor's own key names models.
        """
        async with self._audit.changing(_deed(actor, "feedback.delete", wanted, everything=everything)):
            tenant = bounds.required_tenant(actor.meant(wanted.tenant or ""))
            if [bool(wanted.user), bool(wanted.generation_id), everything].count(True) != 1:
                raise InvalidRequest(
                    "Name a user or a generation_id, or everything alone for all of the tenant's.", field="everything"
                )
            if actor.models:
                raise ModelNotPermitted("Your API key names models, and feedback is erased of every model.", model="")
            return await self._store.delete(replace(_named(wanted), tenant=tenant))


def _meant(actor: Actor, wanted: Wanted) -> Wanted:
    tenant = bounds.named_tenant(actor.meant(wanted.tenant or ""))
    models = frozenset(map(bounds.model, wanted.models))
    for model in models:
        if actor.models and model not in actor.models:
            raise ModelNotPermitted(f"Your API key may not use the model '{model}'.", model=model)
    return replace(_named(wanted), tenant=tenant or None, models=models or actor.models)


def _named(wanted: Wanted) -> Wanted:
    """Return what is wanted, the answer by its plain id.

    Raises:
        InvalidRequest: if there can be no such user or answer.
    """
    bounds.end_user(wanted.user)
    if not wanted.generation_id:
        return wanted
    answer_id, _ = named_answer(wanted.generation_id)
    if not answer_id:
        raise InvalidRequest("generation_id is none that an answer can have.", field="generation_id")
    return replace(wanted, generation_id=answer_id)


def _deed(actor: Actor, action: str, wanted: Wanted, *, everything: bool = False) -> Deed:
    target = wanted.generation_id or wanted.user or " ".join(wanted.models)
    return Deed(actor, action, wanted.tenant or actor.tenant, target, {"everything": "true" if everything else ""})


def _without_content(feedback: Feedback) -> Feedback:
    return replace(feedback, judgement=replace(feedback.judgement, correction="", comment=""))


def _end(feedback: Feedback) -> str:
    return str(feedback.id)
