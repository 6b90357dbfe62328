"""Where items are looked at, claimed and decided: what is not theirs is as what does not exist."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from penstock_common.errors import (
    InvalidRequest,
    ResourceChanged,
    ResourceNotFound,
    ResourceState,
    ScopeMissing,
)
from penstock_gateway.domain.access.identity import Caller, KeyScope
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed, Now, utc_now
from penstock_gateway.domain.administration.bounds import named_tenant, required_tenant
from penstock_gateway.domain.administration.paging import Listing, Page, listing
from penstock_gateway.domain.administration.registry import Registry
from penstock_gateway.domain.life.settlement import OK, outcome_of
from penstock_gateway.domain.reviews.flag import MAX_TEXT
from penstock_gateway.domain.reviews.item import Content, Decision, ReviewItem, ReviewState, Ruling, may_be_review
from penstock_gateway.domain.reviews.observing import NobodyCounts, ReviewObserver
from penstock_gateway.domain.reviews.ports import Claimant, Held, ReviewFilter, ReviewStore
from penstock_gateway.domain.reviews.recheck import NoRules, Recheck
from penstock_gateway.domain.reviews.terms import MAX_LEASE, MAX_NOTE, ReviewTerms

_KIND = "review"
_SEE_ALL = frozenset({KeyScope.READ, KeyScope.REVIEW, KeyScope.ADMIN, KeyScope.OPERATOR})
_DECIDE = frozenset({KeyScope.REVIEW, KeyScope.OPERATOR})
_DECIDE_ESCALATED = frozenset({KeyScope.ADMIN, KeyScope.OPERATOR})


class Reviewer(msgspec.Struct, frozen=True):
    """Who asks: whether they see their tenant's items, what those hold, and whether they decide escalated ones."""

    actor: Actor
    sees_tenant: bool = False
    decides: bool = False
    decides_escalated: bool = False
    first_key_id: str = ""
    """Of the key that its own was rotated from, first of all; empty where it was not."""

    @classmethod
    def of(cls, actor: Actor, caller: Caller) -> Reviewer:
        """Return a caller as one who looks at items."""
        scopes = caller.scopes
        return cls(
            actor,
            sees_tenant=not _SEE_ALL.isdisjoint(scopes),
            decides=not _DECIDE.isdisjoint(scopes),
            decides_escalated=not _DECIDE_ESCALATED.isdisjoint(scopes),
            first_key_id=caller.first_key_id,
        )

    @property
    def counted_key_id(self) -> str:
        """The id that its items are kept under: rotation keeps it."""
        return self.first_key_id or self.actor.key_id

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids that are its own."""
        return (self.actor.key_id, self.counted_key_id)

    @property
    def name(self) -> str:
        """What is kept of who it was: the user, or the key where that is nobody's."""
        return f"member:{self.actor.user_id}" if self.actor.user_id else f"key:{self.actor.key_id}"

    def has_asked(self, item: ReviewItem) -> bool:
        """Return whether the item is of its own request."""
        if item.user_id and self.actor.user_id:
            return item.user_id == self.actor.user_id
        return item.key_id in self.key_ids


class SeenItem(NamedTuple):
    """An item, and what it holds, where that was asked for and is kept."""

    item: ReviewItem
    content: Content | None = None


class Reviews:
    """Shows items, and takes decisions. Looks at contents, and changes, are in the audit log."""

    def __init__(self, store: ReviewStore, registry: Registry, terms: ReviewTerms, now: Now = utc_now) -> None:
        self.observer: ReviewObserver = NobodyCounts()
        self.recheck: Recheck = NoRules()
        """What a reviewer's own text has to pass."""
        self._store = store
        self._audit = AuditLog(registry, now)
        self._terms = terms
        self._now = now

    async def get(self, reviewer: Reviewer, tenant: str, review_id: str, *, with_content: bool = False) -> SeenItem:
        """Return an item.

        Raises:
            ResourceNotFound: if there is none of this id, or it is not the reviewer's to see.
            ScopeMissing: if the key may not see what it holds.
        """
        item = await self._item(reviewer, tenant, review_id)
        if not with_content:
            return SeenItem(item)
        if not reviewer.decides:
            raise _may_not_look()
        # First: nobody sees what nobody can be asked about.
        await self._note(reviewer, "review.look", item)
        return SeenItem(item, await self._store.content(item))

    async def list(self, reviewer: Reviewer, wanted: ReviewFilter, page: Page) -> Listing[ReviewItem]:
        """Return a page of items: of every tenant for an operator who names none."""
        meant = named_tenant(reviewer.actor.meant(wanted.tenant))
        wanted = msgspec.structs.replace(wanted, tenant=meant)
        found = await self._store.list(wanted, self._now(), page.after, page.size + 1)
        return listing([*found], page, lambda item: item.id)

    async def outcome(self, reviewer: Reviewer, tenant: str, review_id: str) -> tuple[ReviewItem, str]:
        """Return an item, and the text that may go out, if one was held and may; raises as ``get``."""
        meant = named_tenant(reviewer.actor.meant(tenant))
        item = await self._store.get(meant, review_id, self._now()) if may_be_review(review_id) else None
        is_own = item is not None and item.key_id in reviewer.key_ids
        if item is None or not (is_own or reviewer.sees_tenant):
            raise no_review(review_id)
        goes_out = item.held and item.decision in (Decision.ALLOW, Decision.EDIT)
        if not goes_out or not (is_own or reviewer.decides):
            return item, ""
        if not is_own:
            await self._note(reviewer, "review.look", item)
        content = await self._store.content(item)
        if content is None:
            return item, ""
        return item, content.edited if item.decision is Decision.EDIT else content.text

    async def claim(self, reviewer: Reviewer, tenant: str, review_id: str, lease: timedelta | None) -> ReviewItem:
        """Return the item, which is the reviewer's for the lease.

        Raises:
            ResourceChanged: if it is another's.
            ResourceState: if it is decided, or of the reviewer's own request.
            ScopeMissing: if it is escalated, and the reviewer does not decide such.
            InvalidRequest: if the lease is too long.
            ResourceNotFound: as ``get``.
        """
        by = self._claimant(reviewer, lease)
        item = await self._item(reviewer, tenant, review_id)
        _check_may_decide(reviewer, item)
        if item.state is ReviewState.DECIDED:
            raise _decided(item)
        claimed = await self._store.claim(item.tenant, item.id, by, self._now())
        if claimed is None:
            raise ResourceChanged(
                "The item is another reviewer's, or decided: read it again, or claim the next one.",
                kind=_KIND,
                name=item.id,
            )
        await self._note(reviewer, "review.claim", claimed)
        return claimed

    async def claim_next(self, reviewer: Reviewer, wanted: ReviewFilter, lease: timedelta | None) -> ReviewItem:
        """Return what is due first and nobody's, and is the reviewer's now.

        Raises:
            ResourceNotFound: if there is nothing.
            InvalidRequest: if the lease is too long, or an operator names no tenant.
        """
        by = self._claimant(reviewer, lease)
        owner = required_tenant(reviewer.actor.meant(wanted.tenant))
        claimed = await self._store.claim_next(msgspec.structs.replace(wanted, tenant=owner), by, self._now())
        if claimed is None:
            raise ResourceNotFound("Nothing waits for a reviewer.", kind=_KIND, name="next")
        await self._note(reviewer, "review.claim", claimed)
        return claimed

    async def decide(self, reviewer: Reviewer, held: Held, ruling: Ruling) -> ReviewItem:
        """Return the decided item; the same said again changes nothing.

        Raises:
            InvalidRequest: if the ruling is none, or the rules of now refuse the text that is to go out.
            ResourceChanged: if the claim is over.
            ResourceState: if something else was decided, or it is of the reviewer's own request.
            ScopeMissing, ResourceNotFound: as ``claim``.
        """
        check_ruling(ruling)
        item = await self._item(reviewer, held.tenant, held.id)
        _check_may_decide(reviewer, item)
        if item.state is ReviewState.DECIDED:
            return await self._said_again(reviewer, item, held, ruling)
        if ruling.decision is Decision.EDIT:
            await self._check_edited(item, ruling.edited)
        # First: nothing is decided that nobody can be asked about. What then is not, has a second entry.
        deed = _deed(reviewer, "review.decide", item, claim=str(held.claim), decision=ruling.decision.value)
        await self._audit.note(deed, OK)
        decided = await self._store.decide(
            held._replace(tenant=item.tenant, reviewer=reviewer.name), ruling, self._now()
        )
        if decided is None:
            fresh = await self._item(reviewer, held.tenant, held.id)
            if fresh.state is ReviewState.DECIDED:
                return await self._said_again(reviewer, fresh, held, ruling)
            error = _claim_over(item.id)
            await self._audit.note(deed, outcome_of(error))
            raise error
        self.observer.decided(decided)
        return decided

    async def release(self, reviewer: Reviewer, held: Held, note: str) -> ReviewItem:
        """Return the item, which is nobody's now; raises as ``decide``."""
        check_note(note)
        item = await self._undecided(reviewer, held)
        released = await self._store.release(
            held._replace(tenant=item.tenant, reviewer=reviewer.name), note, self._now()
        )
        if released is None:
            raise _claim_over(item.id)
        await self._note(reviewer, "review.release", released)
        return released

    async def escalate(self, reviewer: Reviewer, held: Held, note: str) -> ReviewItem:
        """Return the item, which waits for those who decide escalated ones; raises as ``decide``."""
        check_note(note)
        item = await self._undecided(reviewer, held)
        if item.escalated:
            raise ResourceState("The item is escalated already.", kind=_KIND, name=item.id)
        escalated = await self._store.escalate(
            held._replace(tenant=item.tenant, reviewer=reviewer.name), note, self._now()
        )
        if escalated is None:
            raise _claim_over(item.id)
        await self._note(reviewer, "review.escalate", escalated)
        return escalated

    async def export(self, reviewer: Reviewer, wanted: ReviewFilter, page: Page) -> Listing[SeenItem]:
        """Return a page of decided items with what they hold; those whose content is gone are left out.

        Raises:
            InvalidRequest: if an operator names no tenant.
        """
        owner = required_tenant(reviewer.actor.meant(wanted.tenant))
        wanted = msgspec.structs.replace(wanted, tenant=owner)
        place = page.place()
        after = None if place is None else (place.created_at, place.id)
        found = await self._store.decided(wanted, after, page.size + 1)
        listed = listing([*found], page, _end_of)
        details = {"items": str(len(listed.items)), "rule": wanted.rule}
        await self._audit.note(Deed(reviewer.actor, "review.export", owner, "", details), OK)
        seen = [SeenItem(item, await self._store.content(item)) for item in listed.items]
        return Listing([one for one in seen if one.content is not None], listed.next_token)

    async def _item(self, reviewer: Reviewer, tenant: str, review_id: str) -> ReviewItem:
        meant = named_tenant(reviewer.actor.meant(tenant))
        item = await self._store.get(meant, review_id, self._now()) if may_be_review(review_id) else None
        if item is None or not reviewer.sees_tenant:
            raise no_review(review_id)
        return item

    async def _undecided(self, reviewer: Reviewer, held: Held) -> ReviewItem:
        item = await self._item(reviewer, held.tenant, held.id)
        if item.state is ReviewState.DECIDED:
            raise _decided(item)
        return item

    def _claimant(self, reviewer: Reviewer, lease: timedelta | None) -> Claimant:
        wanted = self._terms.lease if lease is None else lease
        if not timedelta() < wanted <= MAX_LEASE:
            hours = MAX_LEASE // timedelta(hours=1)
            raise InvalidRequest(f"lease must be longer than nothing and at most {hours} h.", field="lease")
        return Claimant(
            reviewer=reviewer.name,
            until=self._now() + wanted,
            key_ids=reviewer.key_ids,
            user_id=reviewer.actor.user_id,
            takes_escalated=reviewer.decides_escalated,
        )

    async def _said_again(self, reviewer: Reviewer, item: ReviewItem, held: Held, ruling: Ruling) -> ReviewItem:
        is_same = item.claim == held.claim and item.decision is ruling.decision and item.reviewer == reviewer.name
        if is_same and ruling.decision is Decision.EDIT:
            content = await self._store.content(item)
            is_same = content is not None and content.edited == ruling.edited
        if not is_same:
            raise _decided(item)
        return item

    async def _check_edited(self, item: ReviewItem, text: str) -> None:
        rule = await self.recheck.refused_by(item, text)
        if rule:
            raise InvalidRequest(f"The rule '{rule}' refuses the edited text: change it.", field="edited")

    async def _note(self, reviewer: Reviewer, action: str, item: ReviewItem) -> None:
        await self._audit.note(_deed(reviewer, action, item), OK)


def _deed(reviewer: Reviewer, action: str, item: ReviewItem, **details: str) -> Deed:
    what = {"rule": item.rule, "claim": str(item.claim), **details}
    return Deed(reviewer.actor, action, item.tenant, item.id, what)


def check_ruling(ruling: Ruling) -> None:
    """Check what a reviewer says.

    Raises:
        InvalidRequest: if an edit has no text, another decision has one, or something is too long.
    """
    if (ruling.decision is Decision.EDIT) != bool(ruling.edited):
        raise InvalidRequest("edited is the text of an edit: it has one, and no other decision has.", field="edited")
    check_text("edited", ruling.edited)
    check_note(ruling.note)


def check_text(field: str, text: str) -> None:
    """Check a text that is to be kept; raises ``InvalidRequest``."""
    if len(text) > MAX_TEXT:
        raise InvalidRequest(f"{field} must have at most {MAX_TEXT} characters, not {len(text)}.", field=field)


def check_note(note: str) -> None:
    """Check what a reviewer says to others; raises ``InvalidRequest``."""
    if len(note) > MAX_NOTE:
        raise InvalidRequest(f"note must have at most {MAX_NOTE} characters, not {len(note)}.", field="note")


def no_review(review_id: str) -> ResourceNotFound:
    """Return the error of an item that is not there, or not the asker's."""
    return ResourceNotFound(f"There is no review '{review_id[:64]}'.", kind=_KIND, name=review_id[:64])


def _check_may_decide(reviewer: Reviewer, item: ReviewItem) -> None:
    if reviewer.has_asked(item):
        raise ResourceState(
            "The item is of your own request: somebody else has to decide on it.", kind=_KIND, name=item.id
        )
    if item.escalated and not reviewer.decides_escalated:
        raise ScopeMissing(
            "The item is escalated: deciding on it takes the scope 'admin' besides 'review'.", scope=KeyScope.ADMIN
        )


def _may_not_look() -> ScopeMissing:
    text = "The API key lacks the scope 'review': it sees that there are items, and not what they hold."
    return ScopeMissing(text, scope=KeyScope.REVIEW)


def _claim_over(review_id: str) -> ResourceChanged:
    return ResourceChanged(
        "The claim is over: the item was given back, or is another reviewer's. Claim it again.",
        kind=_KIND,
        name=review_id,
    )


def _decided(item: ReviewItem) -> ResourceState:
    what = "" if item.decision is None else f": {item.decision.value}, by {item.reviewer}"
    return ResourceState(f"The item is decided{what}.", kind=_KIND, name=item.id)


def _end_of(item: ReviewItem) -> str:
    decided: datetime = item.decided_at or item.created_at
    return f"{decided.isoformat()}|{item.id}"
