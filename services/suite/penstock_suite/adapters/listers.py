"""Which command lists things of a kind: where to look when something is not there."""

from __future__ import annotations

LISTERS = {
    "batch": "penstock batches list",
    "budget": "penstock budgets list",
    "cache entry": "penstock cache list",
    "document": "penstock knowledge list",
    "experiment": "penstock experiments list",
    "index": "penstock knowledge list",
    "job": "penstock jobs list",
    "key": "penstock keys list",
    "knowledge base": "penstock knowledge list",
    "model": "penstock models list",
    "pause": "penstock jobs paused",
    "prompt": "penstock prompts list",
    "prompt label": "penstock prompts list",
    "prompt version": "penstock prompts list",
    "review": "penstock reviews list",
    "revoked subject": "penstock users revoked",
    "team": "penstock teams list",
    "tenant": "penstock tenants list",
    "upstream": "penstock upstreams list",
    "user": "penstock users list",
    "webhook": "penstock webhooks list",
    "webhook delivery": "penstock webhooks deliveries",
}
"""By the kind that an error says. Answers, entries of the ledger and the like are in no list."""


def lister(kind: str) -> str:
    """Return what lists things of a kind, empty where nothing does."""
    return LISTERS.get(kind, "")


def with_lister(sentence: str, kind: str) -> str:
    """Return a sentence about a thing that is not there, with what lists those that are."""
    command = lister(kind)
    if not command:
        return sentence
    return f"{sentence} See '{command}'." if sentence.endswith("?") else f"{sentence.rstrip('.')}: see '{command}'"
