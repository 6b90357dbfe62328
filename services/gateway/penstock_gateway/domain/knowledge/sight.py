"""Which documents labels let somebody find."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from penstock_common.contract.knowledge import Document


def may_find(labels: AbstractSet[str], document: Document) -> bool:
    """Return whether a search by these labels could find a document."""
    return not document.labels or not labels.isdisjoint(document.labels)
