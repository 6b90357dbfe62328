"""Whom an entry may serve: everybody of its tenant, or one user."""

from __future__ import annotations

from penstock_cache.domain.meaning.entry import Group, MeaningEntry, group_of
from penstock_cache.domain.meaning.screening import NotCompared, refusal
from penstock_cache.domain.secrecy import TenantSecrets
from penstock_common.contract.cache import Meaning, Origin
from penstock_common.llm.personal import is_personal


def refusal_of(meaning: Meaning | None, window_tokens: int) -> NotCompared | None:
    """Return why a request is not matched by meaning, or None if it may be."""
    if meaning is None:
        return "form"
    if meaning.is_private and not meaning.user:
        return "personal"
    return refusal(meaning.text, meaning.user, window_tokens)


def group_for(keys: TenantSecrets, model: str, meaning: Meaning) -> Group:
    """Return which entries a request may meet; what speaks of its user meets that user's alone."""
    is_private = meaning.is_private or is_personal(meaning.text)
    return group_of(keys, model, meaning.fingerprint, meaning.user if is_private else None)


def user_digest(keys: TenantSecrets, user: str) -> str:
    """Return what the store calls a user; where nobody knows one, the tenant is one."""
    return keys.digest("user", user.encode())


def is_shared_with(entry: MeaningEntry, user: str) -> bool:
    """Return whether an entry serves a user as it serves who put it there."""
    card = entry.card
    return bool(card.is_confirmed) or card.user == user or card.origin == Origin.IMPORTED.value
